import { attributeTable, be32, raw, type Position } from '#netlink/attribute.ts';
import type { ByteWriter } from '#base/bytes.ts';
import { dataTable } from './data.ts';
import { nameOf } from './wire.ts';

/** `enum nft_meta_keys`: those with a typed form. */
const META_KEY = { mark: 3, iif: 4, oif: 5, iifname: 6, oifname: 7, nfproto: 15, l4proto: 16 } as const;
/** `enum nft_payload_bases`. */
const BASE = { link: 0, network: 1, transport: 2 } as const;
/** `enum nft_cmp_ops`, in nft's signs. */
const CMP_OP = { '==': 0, '!=': 1, '<': 2, '<=': 3, '>': 4, '>=': 5 } as const;
/** NFT_FIB_RESULT_ADDRTYPE, NFTA_FIB_F_{SADDR,DADDR}. */
const FIB_ADDRTYPE = 3;
const FIB_FLAG = { saddr: 1, daddr: 2 } as const;

/** `enum nft_ct_keys`: those with a typed form. */
const CT_KEY = { status: 2 } as const;

export type MetaKey = keyof typeof META_KEY;
export type CompareOp = keyof typeof CMP_OP;

/** `[ meta load <key> => reg <register> ]` */
export interface Meta {
  readonly kind: 'meta';
  readonly key: MetaKey;
  readonly register: number;
}

/** `[ payload load <length>b @ <base> header + <offset> => reg <register> ]` */
export interface Payload {
  readonly kind: 'payload';
  readonly base: keyof typeof BASE;
  readonly offset: number;
  readonly length: number;
  readonly register: number;
}

/** `[ bitwise reg <target> = ( reg <source> & <mask> ) ^ <xor> ]`; mask and xor have the same length. */
export interface Bitwise {
  readonly kind: 'bitwise';
  readonly source: number;
  readonly target: number;
  readonly mask: Uint8Array;
  readonly xor: Uint8Array;
}

/** `[ cmp <op> reg <register> <value> ]`; the rule ends here when it does not hold. */
export interface Compare {
  readonly kind: 'cmp';
  readonly op: CompareOp;
  readonly register: number;
  readonly value: Uint8Array;
}

/** `[ fib <address> type => reg <register> ]`: the RTN_* type of the packet's address on this machine. */
export interface Fib {
  readonly kind: 'fib';
  readonly address: keyof typeof FIB_FLAG;
  readonly register: number;
}

/** `[ ct load <key> => reg <register> ]`: of the packet's connection. */
export interface Ct {
  readonly kind: 'ct';
  readonly key: keyof typeof CT_KEY;
  readonly register: number;
}

const metaTable = attributeTable('meta', { key: [2, be32], target: [1, be32], source: [3, be32] });
const payloadTable = attributeTable('payload', {
  target: [1, be32],
  base: [2, be32],
  offset: [3, be32],
  length: [4, be32],
  source: [5, be32],
});
const bitwiseTable = attributeTable('bitwise', {
  source: [1, be32],
  target: [2, be32],
  length: [3, be32],
  mask: [4, dataTable],
  xor: [5, dataTable],
  op: [6, be32],
  data: [7, raw],
});
const cmpTable = attributeTable('cmp', { register: [1, be32], op: [2, be32], data: [3, dataTable] });
const fibTable = attributeTable('fib', { target: [1, be32], result: [2, be32], flags: [3, be32] });
const ctTable = attributeTable('ct', {
  target: [1, be32],
  key: [2, be32],
  direction: [3, raw],
  source: [4, be32],
});

// Each reader answers undefined for a form that the typed one cannot carry; the caller then keeps the bytes.

export const meta = {
  write: (out: ByteWriter, { key, register }: Meta) =>
    metaTable.write(out, { key: META_KEY[key], target: register }),
  read(bytes: Uint8Array, at: Position): Meta | undefined {
    const { key: number = -1, target, source } = metaTable.read(bytes, at);
    const key = nameOf(META_KEY, number);
    if (key === undefined || target === undefined || source !== undefined) return undefined;
    return { kind: 'meta', key, register: target };
  },
};

export const payload = {
  write: (out: ByteWriter, { base, offset, length, register }: Payload) =>
    payloadTable.write(out, { target: register, base: BASE[base], offset, length }),
  read(bytes: Uint8Array, at: Position): Payload | undefined {
    const { target, base: number = -1, offset, length, source } = payloadTable.read(bytes, at);
    const base = nameOf(BASE, number);
    if (base === undefined || offset === undefined || length === undefined) return undefined;
    if (target === undefined || source !== undefined) return undefined;
    return { kind: 'payload', base, offset, length, register: target };
  },
};

export const bitwise = {
  write: (out: ByteWriter, { source, target, mask, xor }: Bitwise) =>
    bitwiseTable.write(out, {
      source,
      target,
      length: mask.length,
      mask: { value: mask },
      xor: { value: xor },
    }),
  read(bytes: Uint8Array, at: Position): Bitwise | undefined {
    const { source, target, length, mask, xor, op = 0 } = bitwiseTable.read(bytes, at);
    if (op !== 0 || source === undefined || target === undefined) return undefined;
    if (mask?.value === undefined || xor?.value === undefined || mask.value.length !== length)
      return undefined;
    return { kind: 'bitwise', source, target, mask: mask.value, xor: xor.value };
  },
};

export const cmp = {
  write: (out: ByteWriter, { register, op, value }: Compare) =>
    cmpTable.write(out, { register, op: CMP_OP[op], data: { value } }),
  read(bytes: Uint8Array, at: Position): Compare | undefined {
    const { register, op: number = -1, data } = cmpTable.read(bytes, at);
    const op = nameOf(CMP_OP, number);
    if (op === undefined || register === undefined || data?.value === undefined) return undefined;
    return { kind: 'cmp', op, register, value: data.value };
  },
};

export const fib = {
  write: (out: ByteWriter, { address, register }: Fib) =>
    fibTable.write(out, { target: register, result: FIB_ADDRTYPE, flags: FIB_FLAG[address] }),
  read(bytes: Uint8Array, at: Position): Fib | undefined {
    const { target, result, flags = 0 } = fibTable.read(bytes, at);
    const address = nameOf(FIB_FLAG, flags);
    if (result !== FIB_ADDRTYPE || address === undefined || target === undefined) return undefined;
    return { kind: 'fib', address, register: target };
  },
};

export const ct = {
  write: (out: ByteWriter, { key, register }: Ct) =>
    ctTable.write(out, { target: register, key: CT_KEY[key] }),
  read(bytes: Uint8Array, at: Position): Ct | undefined {
    const { target, key: number = -1, direction, source } = ctTable.read(bytes, at);
    const key = nameOf(CT_KEY, number);
    if (key === undefined || target === undefined || direction !== undefined || source !== undefined)
      return undefined;
    return { kind: 'ct', key, register: target };
  },
};
