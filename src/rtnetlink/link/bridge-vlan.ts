import { readU16, type ByteWriter } from '#base/bytes.ts';
import { DecodeError } from '#base/errors.ts';
import { forEachAttribute, writeAttribute, writeNested } from '#netlink/attribute.ts';
import type { NetlinkMessage, NetlinkRequest } from '#netlink/message.ts';
import { AF, RTM } from '../constants.ts';
import { LINK_HEADER, readLinkHeader, writeLinkHeader } from './header.ts';

/** `linux/if_link.h`: IFLA_AF_SPEC holds what belongs to the family of the header, IFLA_EXT_MASK says how much to tell. */
const IFLA_AF_SPEC = 26;
const IFLA_EXT_MASK = 29;
/** `linux/rtnetlink.h`: VLANs of bridge ports, those that follow each other as ranges. */
const RTEXT_FILTER_BRVLAN_COMPRESSED = 4;
/** `linux/if_bridge.h` IFLA_BRIDGE_VLAN_INFO. */
const VLAN_INFO = 2;
/** `linux/if_bridge.h` BRIDGE_VLAN_INFO_*. */
const FLAG = { PVID: 2, UNTAGGED: 4, RANGE_BEGIN: 8, RANGE_END: 16 } as const;
/** `struct bridge_vlan_info`: flags and VLAN ID, 16 bits each. */
const INFO_LENGTH = 4;

/** VLANs `first` to `last` of a bridge port, IDs 1 to 4094. */
export interface PortVlan {
  readonly first: number;
  readonly last: number;
  /** Frames without a tag that come in belong to it; a single VLAN only. */
  readonly pvid?: boolean;
  /** Its frames go out without a tag. */
  readonly untagged?: boolean;
}

/** The VLANs of one port, in ascending order. */
export interface PortVlans {
  readonly link: number;
  readonly vlans: readonly PortVlan[];
}

/** RTM_SETLINK that adds VLANs to a bridge port. One that it has already takes the new flags. */
export function addPortVlans(link: number, vlans: readonly PortVlan[]): NetlinkRequest {
  return request(RTM.SETLINK, link, vlans);
}

/** RTM_DELLINK of the bridge family: takes VLANs from a port. Those that it does not have are no error. */
export function deletePortVlans(link: number, vlans: readonly PortVlan[]): NetlinkRequest {
  return request(RTM.DELLINK, link, vlans);
}

function request(type: number, link: number, vlans: readonly PortVlan[]): NetlinkRequest {
  return {
    type,
    flags: 0,
    get what() {
      const ids = vlans.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`));
      return `${type === RTM.SETLINK ? 'add' : 'delete'} VLANs ${ids.join(', ')} of bridge port ${link}`;
    },
    write(out) {
      writeLinkHeader(out, { index: link, family: AF.BRIDGE });
      writeNested(out, IFLA_AF_SPEC, () => {
        for (const vlan of vlans) writeVlan(out, vlan);
      });
    },
  };
}

function writeVlan(out: ByteWriter, { first, last, pvid = false, untagged = false }: PortVlan): void {
  const flags = (pvid ? FLAG.PVID : 0) | (untagged ? FLAG.UNTAGGED : 0);
  const write = (more: number, id: number) =>
    writeAttribute(out, VLAN_INFO, () => out.u16(flags | more).u16(id));
  if (first === last) return write(0, first);
  write(FLAG.RANGE_BEGIN, first);
  write(FLAG.RANGE_END, last);
}

/** RTM_GETLINK of the bridge family: all bridges and their ports with their VLANs. */
export function dumpPortVlans(): NetlinkRequest {
  return {
    type: RTM.GETLINK,
    flags: 0,
    what: 'read VLANs of bridge ports',
    write(out) {
      writeLinkHeader(out, { family: AF.BRIDGE });
      writeAttribute(out, IFLA_EXT_MASK, () => out.u32(RTEXT_FILTER_BRVLAN_COMPRESSED));
    },
  };
}

/** Decodes one answer to `dumpPortVlans`; undefined when it is of another family (a kernel without bridges). */
export function readPortVlans(message: NetlinkMessage): PortVlans | undefined {
  const header = readLinkHeader(message.payload);
  if (header.family !== AF.BRIDGE) return undefined;
  const vlans: PortVlan[] = [];
  const attributes = message.payload.subarray(LINK_HEADER);
  forEachAttribute(attributes, { path: 'link', offset: LINK_HEADER }, (type, spec, position) => {
    if (type !== IFLA_AF_SPEC) return;
    let first: number | undefined;
    forEachAttribute(spec, { ...position, path: 'link.vlans' }, (kind, info, at) => {
      if (kind !== VLAN_INFO) return;
      if (info.length < INFO_LENGTH) throw new DecodeError(at.path, at.offset, `${info.length} bytes`);
      const [flags, id] = [readU16(info, 0), readU16(info, 2)];
      if ((flags & FLAG.RANGE_BEGIN) !== 0) {
        first = id;
        return;
      }
      const of = (bit: number) => (flags & bit) !== 0;
      vlans.push({
        first: of(FLAG.RANGE_END) ? (first ?? id) : id,
        last: id,
        ...(of(FLAG.PVID) ? { pvid: true } : {}),
        ...(of(FLAG.UNTAGGED) ? { untagged: true } : {}),
      });
    });
  });
  return { link: header.index, vlans };
}
