import type { ByteWriter } from '#base/bytes.ts';
import { DecodeError } from '#base/errors.ts';

/** NFNL_SUBSYS_NFTABLES (`linux/netfilter/nfnetlink.h`): the high byte of every nf_tables message type. */
const SUBSYSTEM = 10;

/** `enum nf_tables_msg_types` (`linux/netfilter/nf_tables.h`) with the subsystem in place. */
export const NFT_MSG = {
  NEWTABLE: (SUBSYSTEM << 8) | 0,
  GETTABLE: (SUBSYSTEM << 8) | 1,
  DELTABLE: (SUBSYSTEM << 8) | 2,
  NEWCHAIN: (SUBSYSTEM << 8) | 3,
  GETCHAIN: (SUBSYSTEM << 8) | 4,
  DELCHAIN: (SUBSYSTEM << 8) | 5,
  NEWRULE: (SUBSYSTEM << 8) | 6,
  GETRULE: (SUBSYSTEM << 8) | 7,
  DELRULE: (SUBSYSTEM << 8) | 8,
  NEWGEN: (SUBSYSTEM << 8) | 15,
  TRACE: (SUBSYSTEM << 8) | 17,
} as const;

/** NFNL_MSG_BATCH_BEGIN and _END. */
export const BATCH = { BEGIN: 16, END: 17 } as const;

/** Multicast group of every change of a ruleset (`enum nfnetlink_groups`). */
export const NFNLGRP_NFTABLES = 7;

/** NFPROTO_* of the table families handled here (`linux/netfilter.h`). */
const FAMILY = { ip: 2, ip6: 10, inet: 1, bridge: 7 } as const;

/** Family of a table, in nft's words. */
export type TableFamily = keyof typeof FAMILY;

/** `struct nfgenmsg`. `resource`: 0, or the subsystem for BATCH_BEGIN and BATCH_END. */
const HEADER = 4;

export function writeHeader(out: ByteWriter, family: TableFamily | undefined): void {
  out
    .u8(family === undefined ? 0 : FAMILY[family])
    .u8(0)
    .be16(0);
}

export function writeBatchHeader(out: ByteWriter): void {
  out.u8(0).u8(0).be16(SUBSYSTEM);
}

/** The family and the attributes of an nf_tables message; family undefined when it is none of ours (arp, netdev). */
export function readHeader(payload: Uint8Array): {
  readonly family: TableFamily | undefined;
  readonly attributes: Uint8Array;
} {
  if (payload.length < HEADER) throw new DecodeError('nf_tables', 0, 'shorter than its family header');
  const number = payload[0];
  const families = Object.keys(FAMILY) as TableFamily[];
  return {
    family: families.find((name) => FAMILY[name] === number),
    attributes: payload.subarray(HEADER),
  };
}

/** Where the attributes of a message stand, for error messages. */
export const ATTRIBUTES_AT = { path: 'nf_tables', offset: HEADER } as const;

export function isNftablesType(type: number): boolean {
  return type >> 8 === SUBSYSTEM;
}

/** The name that belongs to `value` in a table of kernel constants. */
export function nameOf<N extends string>(table: Readonly<Record<N, number>>, value: number): N | undefined {
  return (Object.keys(table) as N[]).find((name) => table[name] === value);
}
