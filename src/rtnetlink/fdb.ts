import type { ByteWriter } from '#base/bytes.ts';
import type { Ip } from '#net/ip.ts';
import type { Mac } from '#net/mac.ts';
import { NLM_F, type NetlinkMessage, type NetlinkRequest } from '#netlink/message.ts';
import { AF, NTF, NUD, RTM } from './constants.ts';
import { NEIGHBOUR_HEADER, neighbourTable, readNeighbourHeader, writeNeighbourHeader } from './ndmsg.ts';

/** A forwarding entry of a VXLAN link or a bridge. */
export interface FdbEntry {
  readonly link: number;
  readonly mac: Mac;
  /** VXLAN: where frames to `mac` go. */
  readonly dst: Ip | undefined;
  /** NUD_* */
  readonly state: number;
  /** NTF_*: SELF for the link's own table, MASTER for that of its bridge. */
  readonly flags: number;
  readonly vlan?: number | undefined;
  readonly port?: number | undefined;
  readonly vni?: number | undefined;
  readonly master?: number | undefined;
}

export interface FdbSpec {
  readonly link: number;
  readonly mac: Mac;
  readonly dst?: Ip | undefined;
  /** Default NUD_PERMANENT. */
  readonly state?: number | undefined;
  /** Default NTF_SELF. */
  readonly flags?: number | undefined;
  readonly vlan?: number | undefined;
  readonly port?: number | undefined;
  readonly vni?: number | undefined;
}

/** Decodes RTM_NEWNEIGH and RTM_DELNEIGH of family AF_BRIDGE; undefined for anything else. */
export function readFdbEntry(message: NetlinkMessage): FdbEntry | undefined {
  const { family, link, state, flags } = readNeighbourHeader(message.payload);
  if (family !== AF.BRIDGE) return undefined;
  const at = { path: '', offset: NEIGHBOUR_HEADER };
  const values = neighbourTable.read(message.payload.subarray(NEIGHBOUR_HEADER), at);
  const { mac, dst, vlan, port, vni, master } = values;
  return mac === undefined ? undefined : { link, mac, dst, state, flags, vlan, port, vni, master };
}

/** RTM_GETNEIGH of family AF_BRIDGE; the kernel filters by link (or port). */
export function dumpFdb(filter: { readonly link: number }): NetlinkRequest {
  return {
    type: RTM.GETNEIGH,
    flags: 0,
    what: `read FDB of link ${filter.link}`,
    write: (out) => writeNeighbourHeader(out, { family: AF.BRIDGE, link: filter.link }),
  };
}

/** RTM_GETNEIGH of family AF_BRIDGE, of one entry of the link's own table; ENOENT when it is not there. Since Linux 5.0. */
export function getFdb({ link, mac }: Pick<FdbEntry, 'link' | 'mac'>): NetlinkRequest {
  return {
    type: RTM.GETNEIGH,
    flags: 0,
    get what() {
      return `read FDB entry ${mac} of link ${link}`;
    },
    write(out) {
      writeNeighbourHeader(out, { family: AF.BRIDGE, link, flags: NTF.SELF });
      neighbourTable.write(out, { mac });
    },
  };
}

/**
 * RTM_NEWNEIGH of family AF_BRIDGE. `replace`: the entry's destination becomes this one; `append`: one more destination
 * (VXLAN's zero MAC); with neither, an entry that is there is EEXIST.
 */
export function addFdb(
  spec: FdbSpec,
  options: { readonly replace?: boolean; readonly append?: boolean } = {},
): NetlinkRequest {
  let flags: number = NLM_F.CREATE | NLM_F.EXCL;
  if (options.append === true) flags = NLM_F.CREATE | NLM_F.APPEND;
  else if (options.replace === true) flags = NLM_F.CREATE | NLM_F.REPLACE;
  return {
    type: RTM.NEWNEIGH,
    flags,
    get what() {
      return `${options.replace === true ? 'set' : 'add'} FDB entry ${nameOf(spec)} on link ${spec.link}`;
    },
    write: (out) => writeEntry(out, spec, spec.state ?? NUD.PERMANENT),
  };
}

/** RTM_DELNEIGH of family AF_BRIDGE; ENOENT when it is not there. */
export function deleteFdb(spec: Omit<FdbSpec, 'state'>): NetlinkRequest {
  return {
    type: RTM.DELNEIGH,
    flags: 0,
    get what() {
      return `delete FDB entry ${nameOf(spec)} of link ${spec.link}`;
    },
    write: (out) => writeEntry(out, spec, 0),
  };
}

function writeEntry(out: ByteWriter, spec: FdbSpec, state: number): void {
  const { link, mac, dst, vlan, port, vni, flags = NTF.SELF } = spec;
  writeNeighbourHeader(out, { family: AF.BRIDGE, link, state, flags });
  neighbourTable.write(out, { dst, mac, vlan, port, vni });
}

function nameOf({ mac, dst }: FdbSpec): string {
  return dst === undefined ? mac.toString() : `${mac} dst ${dst}`;
}
