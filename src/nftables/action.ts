import type { ByteWriter } from '#base/bytes.ts';
import { attributeTable, be32, be64, type Position } from '#netlink/attribute.ts';
import { dataTable } from './data.ts';
import { nameOf } from './wire.ts';

/** NF_DROP, NF_ACCEPT (`linux/netfilter.h`) and `enum nft_verdicts`, as the unsigned form that is on the wire. */
const VERDICT = {
  drop: 0,
  accept: 1,
  continue: -1 >>> 0,
  break: -2 >>> 0,
  jump: -3 >>> 0,
  goto: -4 >>> 0,
  return: -5 >>> 0,
} as const;
/** NFT_REG_VERDICT. */
const VERDICT_REGISTER = 0;
/** `enum nft_nat_types`. */
const NAT_TYPE = { snat: 0, dnat: 1 } as const;
const NAT_FAMILY = { ip: 2, ip6: 10 } as const;

/** Bits of NF_NAT_RANGE_* (`linux/netfilter/nf_nat.h`) that say how a port is chosen. */
export const NAT_FLAG = { random: 4, persistent: 8, fullyRandom: 16 } as const;
/** NF_NAT_RANGE_MAP_IPS and _PROTO_SPECIFIED follow from the registers: the kernel adds them by itself. */
const MAP_IPS = 1;
const PROTO_SPECIFIED = 2;

export type VerdictCode = keyof typeof VERDICT;

/** `[ immediate reg 0 <code> -> <chain> ]`: ends the rule. */
export interface Verdict {
  readonly kind: 'verdict';
  readonly code: VerdictCode;
  /** Set with `jump` and `goto`. */
  readonly chain?: string | undefined;
}

/** `[ immediate reg <register> <value> ]` */
export interface Immediate {
  readonly kind: 'immediate';
  readonly register: number;
  readonly value: Uint8Array;
}

/** `[ masq flags <flags> ]`; flags of NAT_FLAG. */
export interface Masquerade {
  readonly kind: 'masq';
  readonly flags: number;
}

/** `[ nat dnat ip addr_min reg <address> proto_min reg <port> ]`; flags of NAT_FLAG. */
export interface Nat {
  readonly kind: 'nat';
  readonly type: keyof typeof NAT_TYPE;
  readonly family: keyof typeof NAT_FAMILY;
  readonly address?: number | undefined;
  readonly port?: number | undefined;
  readonly flags: number;
}

/** `[ counter pkts <packets> bytes <bytes> ]`; the values play no part when rules are compared. */
export interface Counter {
  readonly kind: 'counter';
  readonly packets: bigint;
  readonly bytes: bigint;
}

const immediateTable = attributeTable('immediate', { register: [1, be32], data: [2, dataTable] });
const masqTable = attributeTable('masq', { flags: [1, be32], portMin: [2, be32], portMax: [3, be32] });
const natTable = attributeTable('nat', {
  type: [1, be32],
  family: [2, be32],
  addressMin: [3, be32],
  addressMax: [4, be32],
  portMin: [5, be32],
  portMax: [6, be32],
  flags: [7, be32],
});
const counterTable = attributeTable('counter', { bytes: [1, be64], packets: [2, be64] });

export const immediate = {
  write(out: ByteWriter, value: Immediate | Verdict): void {
    immediateTable.write(
      out,
      value.kind === 'verdict'
        ? {
            register: VERDICT_REGISTER,
            data: { verdict: { code: VERDICT[value.code], chain: value.chain } },
          }
        : { register: value.register, data: { value: value.value } },
    );
  },
  read(bytes: Uint8Array, at: Position): Immediate | Verdict | undefined {
    const { register, data } = immediateTable.read(bytes, at);
    if (register === undefined) return undefined;
    if (data?.value !== undefined) return { kind: 'immediate', register, value: data.value };
    const code = nameOf(VERDICT, data?.verdict?.code ?? -1);
    return code === undefined ? undefined : { kind: 'verdict', code, chain: data?.verdict?.chain };
  },
};

export const masq = {
  write: (out: ByteWriter, { flags }: Masquerade) =>
    masqTable.write(out, { flags: flags === 0 ? undefined : flags }),
  read(bytes: Uint8Array, at: Position): Masquerade | undefined {
    const { flags = 0, portMin } = masqTable.read(bytes, at);
    return portMin === undefined ? { kind: 'masq', flags } : undefined;
  },
};

export const nat = {
  write(out: ByteWriter, { type, family, address, port, flags }: Nat): void {
    const all = flags | (port === undefined ? 0 : PROTO_SPECIFIED);
    natTable.write(out, {
      type: NAT_TYPE[type],
      family: NAT_FAMILY[family],
      addressMin: address,
      portMin: port,
      flags: all === 0 ? undefined : all,
    });
  },
  read(bytes: Uint8Array, at: Position): Nat | undefined {
    const { addressMin, addressMax, portMin, portMax, flags = 0, ...rest } = natTable.read(bytes, at);
    const type = nameOf(NAT_TYPE, rest.type ?? -1);
    const family = nameOf(NAT_FAMILY, rest.family ?? -1);
    // The kernel repeats a single value as the end of its range.
    if (addressMax !== undefined && addressMax !== addressMin) return undefined;
    if (portMax !== undefined && portMax !== portMin) return undefined;
    if (type === undefined || family === undefined || rest.unknown !== undefined) return undefined;
    const chosen = flags & ~(MAP_IPS | PROTO_SPECIFIED);
    return { kind: 'nat', type, family, address: addressMin, port: portMin, flags: chosen };
  },
};

export const counter = {
  write: (out: ByteWriter, { packets, bytes }: Counter) => counterTable.write(out, { packets, bytes }),
  read(data: Uint8Array, at: Position): Counter | undefined {
    const { packets = 0n, bytes = 0n } = counterTable.read(data, at);
    return { kind: 'counter', packets, bytes };
  },
};
