import { ByteWriter } from '#base/bytes.ts';
import { FlannelError } from '#base/errors.ts';
import type { Cidr } from '#net/cidr.ts';
import type { Ip } from '#net/ip.ts';
import type { Mac } from '#net/mac.ts';
import type { Family } from '#net/family.ts';
import { NAT_FLAG } from './action.ts';
import type { Expression } from './expression.ts';
import type { CompareOp } from './match.ts';
import type { Rule } from './objects.ts';

// Words for rules that read like nft's own; above each stands what it is in nft. All values pass through register 1,
// as nft itself does it, so that rules written by nft and by this module compare equal.

/** Part of a rule. */
export type Part = readonly Expression[];
type Equality = '==' | '!=';
type L4Protocol = keyof typeof L4PROTO;

const REGISTER = 1;
/** IPPROTO_*. */
const L4PROTO = { tcp: 6, udp: 17, sctp: 132 } as const;
/** NFPROTO_*. */
const NFPROTO = { ipv4: 2, ipv6: 10 } as const;
/** Where the addresses stand (RFC 791 section 3.1, RFC 8200 section 3). */
const ADDRESS_OFFSET = { ipv4: { saddr: 12, daddr: 16 }, ipv6: { saddr: 8, daddr: 24 } } as const;
/** RTN_LOCAL (`linux/rtnetlink.h`). */
const RTN_LOCAL = 2;
/** Bit of `enum ip_conntrack_status`. */
const IPS_DST_NAT = 1 << 5;
/** Where the source address stands in an Ethernet header (`linux/if_ether.h` struct ethhdr). */
const ETHER_SADDR_OFFSET = 6;
/** IFNAMSIZ. */
const NAME_LENGTH = 16;

/** Joins parts to a rule; `comment` as in `… comment "x"`. */
export function rule(parts: readonly Part[], comment?: string): Rule {
  return { expressions: parts.flat(), comment };
}

/** `ip saddr <cidr>` or `ip6 saddr <cidr>` by the family of `cidr`; `!=` turns it round. */
export function saddr(op: Equality, cidr: Cidr): Part {
  return address('saddr', op, cidr);
}

/** `ip daddr <cidr>` */
export function daddr(op: Equality, cidr: Cidr): Part {
  return address('daddr', op, cidr);
}

/** Whole bytes of the prefix are compared directly, any other length through a mask: nft prints only these forms as `/n`. */
function address(field: 'saddr' | 'daddr', op: Equality, cidr: Cidr): Part {
  const bytes = cidr.first().toBytes();
  const whole = cidr.length > 0 && cidr.length % 8 === 0;
  const length = whole ? cidr.length / 8 : bytes.length;
  const offset = ADDRESS_OFFSET[cidr.family][field];
  return [
    { kind: 'payload', base: 'network', offset, length, register: REGISTER },
    ...(whole ? [] : [masked(prefixMask(cidr))]),
    compare(op, bytes.slice(0, length)),
  ];
}

function prefixMask({ length, ip }: Cidr): Uint8Array {
  const left = (at: number) => Math.min(8, Math.max(0, length - at * 8));
  return Uint8Array.from({ length: ip.bits / 8 }, (_, at) => 0xff & (0xff << (8 - left(at))));
}

/** `ether saddr <mac>`, in a table of family bridge. */
export function etherSaddr(op: Equality, mac: Mac): Part {
  const bytes = mac.toBytes();
  const load = {
    base: 'link',
    offset: ETHER_SADDR_OFFSET,
    length: bytes.length,
    register: REGISTER,
  } as const;
  return [{ kind: 'payload', ...load }, compare(op, bytes)];
}

/** `meta mark <value>`; with a mask `meta mark & <mask> == <value>`. */
export function mark(op: Equality, value: number, mask?: number): Part {
  return [
    { kind: 'meta', key: 'mark', register: REGISTER },
    ...(mask === undefined ? [] : [masked(host32(mask))]),
    compare(op, host32(value)),
  ];
}

/** `iifname "<name>"` */
export function iifname(op: Equality, name: string): Part {
  return [{ kind: 'meta', key: 'iifname', register: REGISTER }, compare(op, interfaceName(name))];
}

/** `oifname "<name>"` */
export function oifname(op: Equality, name: string): Part {
  return [{ kind: 'meta', key: 'oifname', register: REGISTER }, compare(op, interfaceName(name))];
}

/** `meta nfproto ipv4`: needed in front of addresses in a table of family inet. */
export function nfproto(family: Family): Part {
  return [{ kind: 'meta', key: 'nfproto', register: REGISTER }, compare('==', byte(NFPROTO[family]))];
}

/** `meta l4proto tcp` */
export function l4proto(protocol: L4Protocol): Part {
  return [{ kind: 'meta', key: 'l4proto', register: REGISTER }, compare('==', byte(L4PROTO[protocol]))];
}

/** `tcp dport <port>` */
export function dport(protocol: L4Protocol, port: number): Part {
  return [...l4proto(protocol), ...transportPort(2, port)];
}

/** `tcp sport <port>` */
export function sport(protocol: L4Protocol, port: number): Part {
  return [...l4proto(protocol), ...transportPort(0, port)];
}

function transportPort(offset: number, port: number): Part {
  const load = { kind: 'payload', base: 'transport', offset, length: 2, register: REGISTER } as const;
  return [load, compare('==', network16(port))];
}

/** `fib daddr type local` */
export function fibDaddrLocal(): Part {
  return [{ kind: 'fib', address: 'daddr', register: REGISTER }, compare('==', host32(RTN_LOCAL))];
}

/** `ct status dnat`: the connection's destination was translated. */
export function ctStatusDnat(): Part {
  return [
    { kind: 'ct', key: 'status', register: REGISTER },
    masked(host32(IPS_DST_NAT)),
    compare('!=', host32(0)),
  ];
}

/** `counter` */
export function counter(): Part {
  return [{ kind: 'counter', packets: 0n, bytes: 0n }];
}

/** `masquerade` or `masquerade fully-random` */
export function masquerade(options: { readonly fullyRandom?: boolean } = {}): Part {
  return [{ kind: 'masq', flags: options.fullyRandom === true ? NAT_FLAG.fullyRandom : 0 }];
}

/** `dnat to <ip>:<port>` */
export function dnat(ip: Ip, port: number): Part {
  const family = ip.family === 'ipv4' ? 'ip' : 'ip6';
  return [
    { kind: 'immediate', register: 1, value: ip.toBytes() },
    { kind: 'immediate', register: 2, value: network16(port) },
    { kind: 'nat', type: 'dnat', family, address: 1, port: 2, flags: 0 },
  ];
}

/** `accept` */
export const accept: Part = [{ kind: 'verdict', code: 'accept' }];
/** `drop` */
export const drop: Part = [{ kind: 'verdict', code: 'drop' }];
/** `return` */
export const back: Part = [{ kind: 'verdict', code: 'return' }];

/** `jump <chain>` */
export function jump(chain: string): Part {
  return [{ kind: 'verdict', code: 'jump', chain }];
}

/** `goto <chain>` */
export function goTo(chain: string): Part {
  return [{ kind: 'verdict', code: 'goto', chain }];
}

function compare(op: CompareOp, value: Uint8Array): Expression {
  return { kind: 'cmp', op, register: REGISTER, value };
}

function masked(mask: Uint8Array): Expression {
  return { kind: 'bitwise', source: REGISTER, target: REGISTER, mask, xor: new Uint8Array(mask.length) };
}

function byte(value: number): Uint8Array {
  return Uint8Array.of(value);
}

function host32(value: number): Uint8Array {
  return new ByteWriter(4).u32(value).copy();
}

function network16(value: number): Uint8Array {
  return new ByteWriter(2).be16(value).copy();
}

function interfaceName(name: string): Uint8Array {
  const bytes = new TextEncoder().encode(name);
  if (bytes.length === 0 || bytes.length >= NAME_LENGTH || bytes.includes(0)) {
    throw new FlannelError('bug', `${JSON.stringify(name)} is not an interface name`);
  }
  return new ByteWriter(NAME_LENGTH)
    .bytes(bytes)
    .zeros(NAME_LENGTH - bytes.length)
    .copy();
}
