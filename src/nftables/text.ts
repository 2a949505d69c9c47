import { readBe16, readU32 } from '#base/bytes.ts';
import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import { Mac } from '#net/mac.ts';
import { NAT_FLAG } from './action.ts';
import type { Expression } from './expression.ts';
import type { Bitwise, Compare } from './match.ts';
import type { Rule } from './objects.ts';

/** Where addresses stand in the network header, by offset: RFC 791 section 3.1, RFC 8200 section 3. */
const ADDRESSES: Readonly<Record<number, { readonly text: string; readonly bytes: 4 | 16 }>> = {
  8: { text: 'ip6 saddr', bytes: 16 },
  12: { text: 'ip saddr', bytes: 4 },
  16: { text: 'ip daddr', bytes: 4 },
  24: { text: 'ip6 daddr', bytes: 16 },
};
const L4PROTO: Readonly<Record<number, string>> = { 6: 'tcp', 17: 'udp', 132: 'sctp' };
const NFPROTO: Readonly<Record<number, string>> = { 2: 'ipv4', 10: 'ipv6' };
/** Bit of `enum ip_conntrack_status`. */
const IPS_DST_NAT = 1 << 5;
/** RTN_* (`linux/rtnetlink.h`). */
const ADDRESS_TYPE: Readonly<Record<number, string>> = {
  1: 'unicast',
  2: 'local',
  3: 'broadcast',
  5: 'multicast',
};

/** A rule as `nft list` prints it, as far as its expressions have a typed form; the rest by name in angle brackets. */
export function ruleText(rule: Rule): string {
  const words: string[] = [];
  const values = new Map<number, Uint8Array>();
  const list = rule.expressions;
  for (let at = 0; at < list.length; at += 1) {
    const load = list[at];
    if (load === undefined) break;
    if (load.kind === 'meta' || load.kind === 'payload' || load.kind === 'fib' || load.kind === 'ct') {
      const next = list[at + 1];
      const mask = next?.kind === 'bitwise' ? next : undefined;
      const compare = list[mask === undefined ? at + 1 : at + 2];
      if (compare?.kind === 'cmp') {
        words.push(matchText(load, mask, compare));
        at += mask === undefined ? 1 : 2;
        continue;
      }
    }
    if (load.kind === 'immediate') values.set(load.register, load.value);
    else words.push(statementText(load, values));
  }
  if (rule.comment !== undefined) words.push(`comment ${JSON.stringify(rule.comment)}`);
  return protocolsFolded(words).join(' ');
}

/** `meta l4proto tcp` in front of `th dport 80` is `tcp dport 80`. */
function protocolsFolded(words: readonly string[]): string[] {
  const folded: string[] = [];
  for (const word of words) {
    const protocol = /^meta l4proto (\w+)$/.exec(folded.at(-1) ?? '')?.[1];
    if (protocol !== undefined && word.startsWith('th ')) folded.splice(-1, 1, `${protocol}${word.slice(2)}`);
    else folded.push(word);
  }
  return folded;
}

type Load = Extract<Expression, { kind: 'meta' | 'payload' | 'fib' | 'ct' }>;

function matchText(load: Load, mask: Bitwise | undefined, compare: Compare): string {
  const sign = compare.op === '==' ? '' : `${compare.op} `;
  switch (load.kind) {
    case 'fib':
      return `fib ${load.address} type ${sign}${named(ADDRESS_TYPE, compare.value)}`;
    case 'ct':
      return ctText(mask, compare);
    case 'meta':
      return metaText(load.key, { mask, sign, value: compare.value });
    case 'payload': {
      const place = ADDRESSES[load.offset];
      if (load.base === 'network' && place !== undefined) {
        return `${place.text} ${sign}${prefixText(compare.value, mask, place.bytes)}`;
      }
      if (load.base === 'link' && load.offset === 6 && compare.value.length === 6) {
        return `ether saddr ${sign}${Mac.fromBytes(compare.value)}`;
      }
      const port = { 0: 'sport', 2: 'dport' }[load.offset];
      if (load.base === 'transport' && port !== undefined && compare.value.length === 2) {
        return `th ${port} ${sign}${readBe16(compare.value)}`;
      }
      return `@${load.base},${load.offset * 8},${load.length * 8} ${sign}0x${hex(compare.value)}`;
    }
  }
}

/** nft writes a test of one bit by its name. */
function ctText(mask: Bitwise | undefined, { op, value }: Compare): string {
  const bit = mask !== undefined && op === '!=' && hostNumber(value) === 0 ? hostNumber(mask.mask) : -1;
  return bit === IPS_DST_NAT ? 'ct status dnat' : `ct status ${op} ${hostNumber(value)}`;
}

interface MetaMatch {
  readonly mask: Bitwise | undefined;
  readonly sign: string;
  readonly value: Uint8Array;
}

function metaText(key: string, { mask, sign, value }: MetaMatch): string {
  switch (key) {
    case 'mark': {
      const number = `0x${hostNumber(value).toString(16).padStart(8, '0')}`;
      if (mask === undefined) return `meta mark ${sign}${number}`;
      const masked = `0x${hostNumber(mask.mask).toString(16).padStart(8, '0')}`;
      return `meta mark & ${masked} ${sign === '' ? '== ' : sign}${number}`;
    }
    case 'iifname':
    case 'oifname': {
      const end = value.indexOf(0);
      return `${key} ${sign}${JSON.stringify(new TextDecoder().decode(end < 0 ? value : value.subarray(0, end)))}`;
    }
    case 'l4proto':
      return `meta l4proto ${sign}${named(L4PROTO, value)}`;
    case 'nfproto':
      return `meta nfproto ${sign}${named(NFPROTO, value)}`;
    default:
      return `meta ${key} ${sign}${hostNumber(value)}`;
  }
}

/** Whole bytes are compared without a mask: as many of them as the prefix has. */
function prefixText(value: Uint8Array, mask: Bitwise | undefined, bytes: 4 | 16): string {
  const whole = new Uint8Array(bytes);
  whole.set(value.subarray(0, bytes));
  const bits = mask === undefined ? value.length * 8 : prefixLength(mask.mask);
  const ip = Ip.fromBytes(whole);
  return bits === bytes * 8 ? ip.toString() : new Cidr(ip, Math.min(bits, ip.bits)).toString();
}

function prefixLength(mask: Uint8Array): number {
  let bits = 0;
  for (const byte of mask) bits += byte.toString(2).replaceAll('0', '').length;
  return bits;
}

function statementText(expression: Expression, values: ReadonlyMap<number, Uint8Array>): string {
  switch (expression.kind) {
    case 'verdict':
      return expression.chain === undefined ? expression.code : `${expression.code} ${expression.chain}`;
    case 'masq':
      return (expression.flags & NAT_FLAG.fullyRandom) === 0 ? 'masquerade' : 'masquerade fully-random';
    case 'counter':
      return `counter packets ${expression.packets} bytes ${expression.bytes}`;
    case 'nat': {
      const address = values.get(expression.address ?? -1);
      const port = values.get(expression.port ?? -1);
      const ip = address === undefined ? '' : Ip.fromBytes(address).toString();
      if (port === undefined) return `${expression.type} to ${ip}`;
      return `${expression.type} to ${ip.includes(':') ? `[${ip}]` : ip}:${readBe16(port)}`;
    }
    case 'other':
      return `<${expression.name}>`;
    default:
      return `<${expression.kind}>`;
  }
}

function named(names: Readonly<Record<number, string>>, value: Uint8Array): string {
  const number = hostNumber(value);
  return names[number] ?? String(number);
}

function hostNumber(value: Uint8Array): number {
  return value.length === 4 ? readU32(value) : (value[0] ?? 0);
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
