import { ByteWriter } from '#base/bytes.ts';
import { FlannelError } from '#base/errors.ts';
import type { Ip } from '#net/ip.ts';
import { attributeTable, text } from '#netlink/attribute.ts';
import type { Expression } from '#nftables/expression.ts';
import type { CompareOp } from '#nftables/match.ts';
import type { Rule, Table } from '#nftables/objects.ts';

/** The first packet of a connection, as a chain at the hook postrouting sees it. */
export interface SamplePacket {
  readonly from: Ip;
  readonly to: Ip;
  readonly iifname: string;
  readonly oifname: string;
}

/** IPPROTO_TCP, NFPROTO_IPV4 and _IPV6. */
const TCP = 6;
const NFPROTO = { ipv4: 2, ipv6: 10 } as const;
/** Ports of the sample. */
const PORTS = new ByteWriter(4).be16(40_000).be16(80).copy();
/** How deep jumps may lead: the kernel's own limit (NFT_JUMP_STACK_SIZE). */
const DEPTH = 16;

type Verdict = 'masquerade' | 'end' | 'return' | 'go-on';

/**
 * The rules (their chain, their text is the caller's) that would masquerade the packet: one per base chain of type nat at the
 * hook postrouting, whatever its program. A rule with a condition that is not understood counts as one that does not hold.
 */
export function masqueradingRules(
  table: Table,
  packet: SamplePacket,
): { readonly chain: string; readonly rule: Rule }[] {
  return table.chains.flatMap(({ name, hook }) => {
    if (hook?.type !== 'nat' || hook.point !== 'postrouting' || table.dormant === true) return [];
    const hit = walk({ table, packet }, name, 0);
    return hit.verdict === 'masquerade' && hit.rule !== undefined ? [{ chain: name, rule: hit.rule }] : [];
  });
}

interface Scene {
  readonly table: Table;
  readonly packet: SamplePacket;
}

interface Outcome {
  readonly verdict: Verdict;
  readonly rule?: Rule;
}

function walk(scene: Scene, chain: string, depth: number): Outcome {
  const rules = scene.table.chains.find(({ name }) => name === chain)?.rules ?? [];
  for (const rule of rules) {
    const outcome = step(scene, rule, depth);
    if (outcome.verdict === 'return') return { verdict: 'go-on' };
    if (outcome.verdict !== 'go-on') return outcome;
  }
  return { verdict: 'go-on' };
}

/** One rule: its conditions in order, until one does not hold or a verdict is there. */
function step(scene: Scene, rule: Rule, depth: number): Outcome {
  const registers = new Map<number, Uint8Array>();
  for (const expression of rule.expressions) {
    switch (expression.kind) {
      case 'counter':
      case 'immediate':
        continue;
      case 'masq':
        return { verdict: 'masquerade', rule };
      case 'nat':
        return { verdict: 'end' };
      case 'verdict':
        return follow(scene, expression, depth);
      case 'other':
        return targetOf(expression.name, expression.data) === 'MASQUERADE'
          ? { verdict: 'masquerade', rule }
          : { verdict: 'go-on' };
      default:
        if (!holds(scene.packet, expression, registers)) return { verdict: 'go-on' };
    }
  }
  return { verdict: 'go-on' };
}

function follow(scene: Scene, verdict: Extract<Expression, { kind: 'verdict' }>, depth: number): Outcome {
  switch (verdict.code) {
    case 'accept':
    case 'drop':
      return { verdict: 'end' };
    case 'return':
      return { verdict: 'return' };
    case 'jump':
    case 'goto': {
      if (depth >= DEPTH || verdict.chain === undefined) return { verdict: 'end' };
      const inner = walk(scene, verdict.chain, depth + 1);
      return verdict.code === 'goto' && inner.verdict === 'go-on' ? { verdict: 'return' } : inner;
    }
    case 'continue':
    case 'break':
      return { verdict: 'go-on' };
  }
}

type Condition = Exclude<
  Expression,
  { kind: 'counter' | 'immediate' | 'masq' | 'nat' | 'verdict' | 'other' }
>;

/** Loads a register, changes it, or compares it; false: the rule does not hold, or nobody can say. */
function holds(packet: SamplePacket, expression: Condition, registers: Map<number, Uint8Array>): boolean {
  switch (expression.kind) {
    case 'meta':
      return load(registers, expression.register, metaOf(packet, expression.key));
    case 'payload': {
      const header = headerOf(packet, expression.base);
      const { offset, length } = expression;
      const bytes =
        header !== undefined && header.length >= offset + length
          ? header.slice(offset, offset + length)
          : undefined;
      return load(registers, expression.register, bytes);
    }
    case 'bitwise': {
      const source = registers.get(expression.source);
      const { mask, xor } = expression;
      const masked = source
        ?.slice(0, mask.length)
        .map((byte, at) => (byte & (mask[at] ?? 0)) ^ (xor[at] ?? 0));
      return load(registers, expression.target, masked);
    }
    case 'cmp': {
      const found = registers.get(expression.register);
      return found !== undefined && compare(found, expression.op, expression.value);
    }
    case 'fib':
    case 'ct':
      return false;
  }
}

function load(registers: Map<number, Uint8Array>, register: number, value: Uint8Array | undefined): boolean {
  if (value === undefined) return false;
  registers.set(register, value);
  return true;
}

function metaOf({ from, iifname, oifname }: SamplePacket, key: string): Uint8Array | undefined {
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
      return Uint8Array.of(TCP, 0, 0, 0);
    default:
      return undefined;
  }
}

/** RFC 791 section 3.1, RFC 8200 section 3; of TCP the ports. */
function headerOf(
  { from, to }: SamplePacket,
  base: 'link' | 'network' | 'transport',
): Uint8Array | undefined {
  if (base === 'link') return undefined;
  if (base === 'transport') return PORTS;
  const header = new Uint8Array(from.family === 'ipv4' ? 20 : 40);
  const [protocolAt, fromAt, toAt] = from.family === 'ipv4' ? [9, 12, 16] : [6, 8, 24];
  header[protocolAt] = TCP;
  header.set(from.toBytes(), fromAt);
  header.set(to.toBytes(), toAt);
  return header;
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

/** NFTA_TARGET_NAME (`linux/netfilter/nf_tables_compat.h`): what iptables-nft writes for a target of iptables. */
const targetTable = attributeTable('target', { name: [1, text] }, 'drop');

function targetOf(name: string, data: Uint8Array): string | undefined {
  if (name !== 'target') return undefined;
  try {
    return targetTable.read(data, { path: 'target', offset: 0 }).name;
  } catch (error) {
    if (error instanceof FlannelError) return undefined;
    throw error;
  }
}
