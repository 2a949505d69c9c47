import type { ByteWriter } from '#base/bytes.ts';
import { DecodeError } from '#base/errors.ts';
import { attributeTable, be16, be32, ip, u32, u8 } from '#netlink/attribute.ts';
import type { NetlinkMessage, NetlinkRequest } from '#netlink/message.ts';
import type { Family } from '#net/family.ts';
import type { Ip } from '#net/ip.ts';

/** NFNL_SUBSYS_CTNETLINK (`linux/netfilter/nfnetlink.h`). */
const SUBSYSTEM = 1;
/** `enum cntl_msg_types` (`linux/netfilter/nfnetlink_conntrack.h`) with the subsystem in place. */
export const CT_MSG = {
  NEW: (SUBSYSTEM << 8) | 0,
  GET: (SUBSYSTEM << 8) | 1,
  DELETE: (SUBSYSTEM << 8) | 2,
} as const;

/** IPPROTO_*: the transports whose flows have ports. */
export const IPPROTO = { tcp: 6, udp: 17, sctp: 132 } as const;
export type PortProtocol = keyof typeof IPPROTO;

/** NFPROTO_* */
const NFPROTO: Readonly<Record<Family, number>> = { ipv4: 2, ipv6: 10 };
/** `struct nfgenmsg`. */
const HEADER = 4;

/** One direction of a flow, as its first packet had it. */
export interface Tuple {
  readonly source: Ip;
  readonly destination: Ip;
  /** IPPROTO_* */
  readonly protocol: number;
  /** Undefined for protocols without ports. */
  readonly sourcePort?: number | undefined;
  readonly destinationPort?: number | undefined;
  /** The zone of this direction alone; undefined: that of the entry. */
  readonly zone?: number | undefined;
}

/** An entry of the connection tracking table. Without NAT `reply` is `original` turned round. */
export interface ConntrackEntry {
  readonly family: Family;
  readonly original: Tuple;
  readonly reply: Tuple;
  /** The same tuple may stand in each zone; 0 is the usual one. */
  readonly zone: number;
  /** Tells an entry from a later one with the same tuple. */
  readonly id: number | undefined;
}

/** Which entries to list. */
export interface ConntrackQuery {
  readonly family: Family;
  readonly protocol: PortProtocol;
  /** Port that the flow's first packet was sent to; undefined: any. */
  readonly destinationPort?: number | undefined;
}

/** `enum ctattr_ip` */
const addressTable = attributeTable('ip', {
  source4: [1, ip],
  destination4: [2, ip],
  source6: [3, ip],
  destination6: [4, ip],
});
/** `enum ctattr_l4proto` */
const protocolTable = attributeTable(
  'proto',
  { number: [1, u8], sourcePort: [2, be16], destinationPort: [3, be16] },
  'drop',
);
/** `enum ctattr_tuple` */
const tupleTable = attributeTable('tuple', {
  ip: [1, addressTable],
  protocol: [2, protocolTable],
  zone: [3, be16],
});
/** `enum ctattr_filter`: bits that say which fields of a tuple count. */
const filterTable = attributeTable('filter', { original: [1, u32] });
/** `enum ctattr_type`, as far as it is needed here. */
const entryTable = attributeTable(
  'conntrack',
  {
    original: [1, tupleTable],
    reply: [2, tupleTable],
    id: [12, be32],
    zone: [18, be16],
    filter: [25, filterTable],
  },
  'drop',
);

/** CTA_FILTER_F_CTA_PROTO_NUM and _DST_PORT (`net/netfilter/nf_internals.h`). */
const FILTER = { protocol: 1 << 3, destinationPort: 1 << 5 } as const;

/**
 * Asks for the entries of a query. Kernels before 5.8, and all for SCTP ports, answer with more: the reader sorts them
 * out.
 */
export function listEntries({ family, protocol, destinationPort }: ConntrackQuery): NetlinkRequest {
  const tuple = { protocol: { number: IPPROTO[protocol], destinationPort } };
  const port = destinationPort === undefined ? 0 : FILTER.destinationPort;
  const filter = { original: FILTER.protocol | port };
  return {
    type: CT_MSG.GET,
    flags: 0,
    what: `list ${family} connections to ${protocol} port ${destinationPort ?? 'any'}`,
    write: withHeader(family, (out) => entryTable.write(out, { original: tuple, filter })),
  };
}

/** Asks for all entries of both families: a filter wants to know the family. */
export function listAll(): NetlinkRequest {
  return { type: CT_MSG.GET, flags: 0, what: 'list connections', write: withHeader(undefined, () => {}) };
}

/** Deletes just this entry: its zone and its ID are said, too. */
export function deleteEntry({ family, original, zone, id }: ConntrackEntry): NetlinkRequest {
  return {
    type: CT_MSG.DELETE,
    flags: 0,
    what: `delete the connection ${original.source} → ${original.destination}:${original.destinationPort ?? ''}`,
    write: withHeader(family, (out) =>
      entryTable.write(out, { original: tupleInput(original), id, zone: zone === 0 ? undefined : zone }),
    ),
  };
}

function withHeader(family: Family | undefined, write: (out: ByteWriter) => void): NetlinkRequest['write'] {
  return (out) => {
    out
      .u8(family === undefined ? 0 : NFPROTO[family])
      .u8(0)
      .be16(0);
    write(out);
  };
}

function tupleInput({ source, destination, protocol, sourcePort, destinationPort, zone }: Tuple) {
  const four = source.family === 'ipv4';
  return {
    ip: four
      ? { source4: source, destination4: destination }
      : { source6: source, destination6: destination },
    protocol: { number: protocol, sourcePort, destinationPort },
    zone,
  };
}

/** Reads IPCTNL_MSG_CT_NEW, as a dump has it; undefined for other messages and families. */
export function readEntry({ type, payload }: NetlinkMessage): ConntrackEntry | undefined {
  if (type !== CT_MSG.NEW) return undefined;
  if (payload.length < HEADER) throw new DecodeError('conntrack', 0, 'shorter than its family header');
  const family = (['ipv4', 'ipv6'] as const).find((name) => NFPROTO[name] === payload[0]);
  if (family === undefined) return undefined;
  const values = entryTable.read(payload.subarray(HEADER), { path: '', offset: HEADER });
  const original = readTuple(values.original);
  const reply = readTuple(values.reply);
  if (original === undefined || reply === undefined)
    throw new DecodeError('conntrack', HEADER, 'an entry without its two tuples');
  return { family, original, reply, zone: values.zone ?? 0, id: values.id };
}

function readTuple(values: ReturnType<typeof tupleTable.read> | undefined): Tuple | undefined {
  const source = values?.ip?.source4 ?? values?.ip?.source6;
  const destination = values?.ip?.destination4 ?? values?.ip?.destination6;
  const { number, sourcePort, destinationPort } = values?.protocol ?? {};
  if (source === undefined || destination === undefined || number === undefined) return undefined;
  return { source, destination, protocol: number, sourcePort, destinationPort, zone: values?.zone };
}
