import { ByteWriter } from '#base/bytes.ts';
import { attributeTable, be32, text, type Codec } from '#netlink/attribute.ts';
import { FlannelError } from '#base/errors.ts';
import type { Ip } from '#net/ip.ts';
import type { Expression } from '#nftables/expression.ts';
import type { CompareOp } from '#nftables/match.ts';

/** The first packet of a connection, as a chain of a hook sees it. */
export interface SamplePacket {
  readonly from: Ip;
  readonly to: Ip;
  /** Empty: sent by this machine itself. */
  readonly iifname: string;
  readonly oifname: string;
  /** Missing: any. Then a rule that asks for protocol or ports can be judged by nobody. */
  readonly protocol?: 'tcp';
}

/** IPPROTO_TCP, NFPROTO_IPV4 and _IPV6. */
const TCP = 6;
const NFPROTO = { ipv4: 2, ipv6: 10 } as const;
/** Ports of the sample. */
const PORTS = new ByteWriter(4).be16(40_000).be16(80).copy();
/** Of connection tracking: NF_CT_STATE_BIT(IP_CT_NEW) (`linux/netfilter/nf_conntrack_common.h`). */
const NEW = Uint8Array.of(8, 0, 0, 0);

/** What a rule has loaded so far: register to bytes. */
export type Registers = Map<number, Uint8Array>;

type Condition = Exclude<
  Expression,
  { kind: 'counter' | 'immediate' | 'masq' | 'nat' | 'verdict' | 'other' }
>;

/** Loads a register, changes it, or compares it; undefined: nobody can say whether the rule goes on here. */
export function holds(
  packet: SamplePacket,
  expression: Condition,
  registers: Registers,
): boolean | undefined {
  switch (expression.kind) {
    case 'meta':
      return load(registers, expression.register, metaOf(packet, expression.key));
    case 'payload':
      return load(registers, expression.register, payloadOf(packet, expression));
    case 'bitwise': {
      const { mask, xor } = expression;
      const masked = registers
        .get(expression.source)
        ?.slice(0, mask.length)
        .map((byte, at) => (byte & (mask[at] ?? 0)) ^ (xor[at] ?? 0));
      return load(registers, expression.target, masked);
    }
    case 'cmp': {
      const found = registers.get(expression.register);
      return found === undefined ? undefined : compare(found, expression.op, expression.value);
    }
    case 'ct':
    case 'fib':
      return undefined;
  }
}

function load(registers: Registers, register: number, value: Uint8Array | undefined): true | undefined {
  if (value === undefined) return undefined;
  registers.set(register, value);
  return true;
}

function metaOf({ from, iifname, oifname, protocol }: SamplePacket, key: string): Uint8Array | undefined {
  const name = (value: string) => {
    const bytes = new Uint8Array(16);
    new TextEncoder().encodeInto(value, bytes);
    return bytes;
  };
  switch (key) {
    case 'iifname':
      return name(iifname);
    case 'oifname':
      return name(oifname);
    case 'mark':
      return new Uint8Array(4);
    case 'nfproto':
      return Uint8Array.of(NFPROTO[from.family], 0, 0, 0);
    case 'l4proto':
      return protocol === undefined ? undefined : Uint8Array.of(TCP, 0, 0, 0);
    default:
      return undefined;
  }
}

/** RFC 791 section 3.1, RFC 8200 section 3; of TCP the ports. */
function payloadOf(
  { from, to, protocol }: SamplePacket,
  { base, offset, length }: Extract<Expression, { kind: 'payload' }>,
): Uint8Array | undefined {
  if (base === 'link') return undefined;
  const slice = (bytes: Uint8Array) =>
    bytes.length >= offset + length ? bytes.slice(offset, offset + length) : undefined;
  if (base === 'transport') return protocol === undefined ? undefined : slice(PORTS);
  const header = new Uint8Array(from.family === 'ipv4' ? 20 : 40);
  const [protocolAt, fromAt, toAt] = from.family === 'ipv4' ? [9, 12, 16] : [6, 8, 24];
  if (protocol === undefined && offset <= protocolAt && protocolAt < offset + length) return undefined;
  header[protocolAt] = TCP;
  header.set(from.toBytes(), fromAt);
  header.set(to.toBytes(), toAt);
  return slice(header);
}

/** As many bytes as the rule gives: of a name, those in front of `+` or `*`. */
function compare(found: Uint8Array, op: CompareOp, value: Uint8Array): boolean {
  const order = Buffer.compare(found.subarray(0, value.length), value);
  switch (op) {
    case '==':
      return order === 0;
    case '!=':
      return order !== 0;
    case '<':
      return order < 0;
    case '<=':
      return order <= 0;
    case '>':
      return order > 0;
    case '>=':
      return order >= 0;
  }
}

/** NFTA_CT_DREG, NFTA_CT_KEY (`linux/netfilter/nf_tables.h`); key 0 is NFT_CT_STATE. */
const ctTable = attributeTable('ct', { register: [1, be32], key: [2, be32] }, 'drop');

/** An expression without a typed form, as far as it is a condition that is understood; else as `holds`. */
export function otherHolds(
  expression: Extract<Expression, { kind: 'other' }>,
  registers: Registers,
): boolean | undefined {
  if (extensionOf(expression, 'match') === 'comment') return true;
  if (expression.name !== 'ct') return undefined;
  const { register, key } = read(ctTable, expression.data) ?? {};
  return register !== undefined && key === 0 ? load(registers, register, NEW) : undefined;
}

/** NFTA_TARGET_NAME and NFTA_MATCH_NAME (`linux/netfilter/nf_tables_compat.h`): what iptables-nft writes for its own extensions. */
const extensionTable = attributeTable('extension', { name: [1, text] }, 'drop');

/** The name of an iptables extension that stands in an expression `match` or `target`; undefined: it is none. */
export function extensionOf(
  { name, data }: Extract<Expression, { kind: 'other' }>,
  kind: 'match' | 'target',
): string | undefined {
  return name === kind ? read(extensionTable, data)?.name : undefined;
}

/** Undefined: damaged, or of a newer kernel. */
function read<T>(table: Codec<T>, data: Uint8Array): T | undefined {
  try {
    return table.read(data, { path: 'expression', offset: 0 });
  } catch (error) {
    if (error instanceof FlannelError) return undefined;
    throw error;
  }
}
