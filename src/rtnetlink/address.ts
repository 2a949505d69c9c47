import { readU32, type ByteWriter } from '#base/bytes.ts';
import { DecodeError } from '#base/errors.ts';
import { Cidr } from '#net/cidr.ts';
import type { Family } from '#net/family.ts';
import type { Ip } from '#net/ip.ts';
import { attributeTable, ip, text, u32, u8, type Codec } from '#netlink/attribute.ts';
import { NLM_F, type NetlinkMessage, type NetlinkRequest } from '#netlink/message.ts';
import { AF, familyNumber, familyOf, RT_SCOPE, RTM } from './constants.ts';

/** An address of a link. */
export interface Address {
  /** Index of the link. */
  readonly link: number;
  /** The address itself with the prefix length: host bits are kept. */
  readonly cidr: Cidr;
  /** RT_SCOPE_* */
  readonly scope: number;
  /** IFA_F_*, all 32 bits. */
  readonly flags: number;
  readonly label?: string | undefined;
  readonly broadcast?: Ip | undefined;
  /** The other end of a point-to-point link, when it differs from the address. */
  readonly peer?: Ip | undefined;
  /** Undefined: for ever. */
  readonly preferredSeconds?: number | undefined;
  readonly validSeconds?: number | undefined;
  /** IFAPROT_*: who made it. */
  readonly protocol?: number | undefined;
}

/** What an address is made from. */
export interface AddressSpec {
  readonly link: number;
  readonly cidr: Cidr;
  /** Default: host for 127.0.0.0/8, else universe (the kernel finds that of IPv6 by itself). */
  readonly scope?: number | undefined;
  /** IFA_F_*, e.g. NODAD. */
  readonly flags?: number | undefined;
  /** IPv4; `auto`: all host bits one, none for /31 and /32. */
  readonly broadcast?: Ip | 'auto' | undefined;
  readonly label?: string | undefined;
  readonly peer?: Ip | undefined;
  readonly preferredSeconds?: number | undefined;
  readonly validSeconds?: number | undefined;
  readonly protocol?: number | undefined;
}

interface Lifetime {
  readonly preferred: number;
  readonly valid: number;
}

/** `struct ifa_cacheinfo`; both times in seconds. */
const lifetime: Codec<Lifetime> = {
  write: (out, value) => out.u32(value.preferred).u32(value.valid).u32(0).u32(0),
  read(bytes, at) {
    if (bytes.length < 8) throw new DecodeError(at.path, at.offset, `a lifetime of ${bytes.length} bytes`);
    return { preferred: readU32(bytes, 0), valid: readU32(bytes, 4) };
  },
};
const FOR_EVER = 0xffffffff;

/** `linux/if_addr.h` IFA_*. */
export const addressTable = attributeTable(
  'address',
  {
    address: [1, ip],
    local: [2, ip],
    label: [3, text],
    broadcast: [4, ip],
    lifetime: [6, lifetime],
    flags: [8, u32],
    protocol: [11, u8],
  },
  'drop',
);

/** Bytes of `struct ifaddrmsg`. */
const HEADER = 8;

interface Header {
  readonly family: number;
  readonly length?: number;
  readonly flags?: number;
  readonly scope?: number;
  readonly link?: number | undefined;
}

function writeHeader(out: ByteWriter, header: Header): void {
  const { family, length = 0, flags = 0, scope = 0, link = 0 } = header;
  out.u8(family).u8(length).u8(flags).u8(scope).u32(link);
}

/** Decodes RTM_NEWADDR and RTM_DELADDR; undefined for other families than IP. */
export function readAddress(message: NetlinkMessage): Address | undefined {
  const { payload } = message;
  if (payload.length < HEADER) throw new DecodeError('address', 0, 'shorter than its header');
  const family = familyOf(payload[0] ?? 0);
  if (family === undefined) return undefined;
  const values = addressTable.read(payload.subarray(HEADER), { path: '', offset: HEADER });
  const own = values.local ?? values.address;
  if (own === undefined) throw new DecodeError('address', HEADER, 'no address inside');
  const length = payload[1] ?? 0;
  if (own.family !== family || length > own.bits)
    throw new DecodeError('address', 1, `prefix length ${length} of ${own}`);
  const { label, broadcast, address, protocol } = values;
  return {
    link: readU32(payload, 4),
    cidr: new Cidr(own, length),
    scope: payload[3] ?? 0,
    flags: values.flags ?? payload[2] ?? 0,
    label,
    broadcast,
    peer: address === undefined || address.equals(own) ? undefined : address,
    preferredSeconds: seconds(values.lifetime?.preferred),
    validSeconds: seconds(values.lifetime?.valid),
    protocol,
  };
}

function seconds(value: number | undefined): number | undefined {
  return value === FOR_EVER ? undefined : value;
}

/** RTM_GETADDR; the kernel filters by link and family. */
export function dumpAddresses(
  filter: { readonly link?: number; readonly family?: Family } = {},
): NetlinkRequest {
  const family = filter.family === undefined ? AF.UNSPEC : familyNumber(filter.family);
  return {
    type: RTM.GETADDR,
    flags: 0,
    what: 'read addresses',
    write: (out) => writeHeader(out, { family, link: filter.link }),
  };
}

/** RTM_NEWADDR. `replace`: an address that is there gets the new flags and lifetime; else it is EEXIST. */
export function addAddress(spec: AddressSpec, options: { readonly replace?: boolean } = {}): NetlinkRequest {
  return {
    type: RTM.NEWADDR,
    flags: NLM_F.CREATE | (options.replace === true ? NLM_F.REPLACE : NLM_F.EXCL),
    get what() {
      return `${options.replace === true ? 'set' : 'add'} address ${spec.cidr} on link ${spec.link}`;
    },
    write(out) {
      const { cidr, link, flags = 0, label, protocol, preferredSeconds, validSeconds } = spec;
      const { ip, length } = cidr;
      const family = familyNumber(cidr.family);
      const loopback = cidr.family === 'ipv4' && ip.isLoopback();
      const scope = spec.scope ?? (loopback ? RT_SCOPE.HOST : RT_SCOPE.UNIVERSE);
      writeHeader(out, { family, length, flags: flags & 0xff, scope, link });
      addressTable.write(out, {
        address: spec.peer ?? ip,
        local: ip,
        label,
        broadcast: spec.broadcast === 'auto' ? autoBroadcast(cidr) : spec.broadcast,
        lifetime:
          preferredSeconds === undefined && validSeconds === undefined
            ? undefined
            : { preferred: preferredSeconds ?? FOR_EVER, valid: validSeconds ?? FOR_EVER },
        flags: flags > 0xff ? flags : undefined,
        protocol,
      });
    },
  };
}

function autoBroadcast(cidr: Cidr): Ip | undefined {
  return cidr.family === 'ipv4' && cidr.length <= 30 ? cidr.last() : undefined;
}

/** RTM_DELADDR; EADDRNOTAVAIL when it is not there. */
export function deleteAddress(spec: Pick<AddressSpec, 'link' | 'cidr' | 'peer'>): NetlinkRequest {
  return {
    type: RTM.DELADDR,
    flags: 0,
    get what() {
      return `delete address ${spec.cidr} of link ${spec.link}`;
    },
    write(out) {
      const { ip, length, family } = spec.cidr;
      writeHeader(out, { family: familyNumber(family), length, link: spec.link });
      addressTable.write(out, { address: spec.peer ?? ip, local: ip });
    },
  };
}
