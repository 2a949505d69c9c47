import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import { invalidConfig } from '../error.ts';
import { show, stringField, type JsonObject } from '../json.ts';

/** Addresses `start` to `end`, both included, of one subnet. */
export interface IpRange {
  readonly subnet: Cidr;
  readonly start: Ip;
  readonly end: Ip;
  /** Never handed out. */
  readonly gateway: Ip;
}

/** Ranges that serve one address each container gets; all of one family, not overlapping. */
export type RangeSet = readonly IpRange[];

/** Reads `{subnet, rangeStart, rangeEnd, gateway}`. Throws CniError 7. */
export function parseRange(object: JsonObject): IpRange {
  const subnet = parseSubnet(stringField(object, 'subnet'));
  const gateway = ipField(object, 'gateway') ?? subnet.first().add(1);
  const start = ipField(object, 'rangeStart') ?? subnet.first().add(1);
  const end = ipField(object, 'rangeEnd') ?? defaultEnd(subnet);
  for (const [key, ip] of [
    ['rangeStart', start],
    ['rangeEnd', end],
  ] as const) {
    if (!subnet.contains(ip)) throw invalidConfig(`${key} ${ip} is not in subnet ${subnet}`);
  }
  if (gateway.family !== subnet.family)
    throw invalidConfig(`gateway ${gateway} is not of the family of ${subnet}`);
  if (start.compare(end) > 0) throw invalidConfig(`rangeStart ${start} is behind rangeEnd ${end}`);
  return { subnet, start, end, gateway };
}

function parseSubnet(text: string | undefined): Cidr {
  const subnet = text === undefined ? undefined : Cidr.tryParse(text);
  if (subnet === undefined) throw invalidConfig(`subnet: ${show(text)} is not a CIDR`);
  if (!subnet.isNetwork()) {
    throw invalidConfig(`subnet ${subnet} has host bits set`, `the network address is ${subnet.network()}`);
  }
  if (subnet.ip.bits - subnet.length < 2)
    throw invalidConfig(`subnet ${subnet} is too small to allocate from`);
  return subnet;
}

/** Without the broadcast address, which IPv6 does not have. */
function defaultEnd(subnet: Cidr): Ip {
  return subnet.family === 'ipv4' ? subnet.last().add(-1) : subnet.last();
}

function ipField(object: JsonObject, key: string): Ip | undefined {
  const text = stringField(object, key);
  if (text === undefined || text === '') return undefined;
  const ip = Ip.tryParse(text);
  if (ip === undefined) throw invalidConfig(`${key}: ${show(text)} is not an IP address`);
  return ip;
}

export function contains(range: IpRange, ip: Ip): boolean {
  return range.start.family === ip.family && range.start.compare(ip) <= 0 && ip.compare(range.end) <= 0;
}

/** The range of the set that holds `ip`. */
export function rangeOf(set: RangeSet, ip: Ip): IpRange | undefined {
  return set.find((range) => contains(range, ip));
}

export function rangesOverlap(a: IpRange, b: IpRange): boolean {
  return contains(a, b.start) || contains(b, a.start);
}

/** The set as messages show it: `10.9.0.1-10.9.0.2,10.9.1.1-10.9.1.9`. */
export function showSet(set: RangeSet): string {
  return set.map((range) => `${range.start}-${range.end}`).join(',');
}

/** What the allocator tries: an address with the range it belongs to. */
export interface Candidate {
  readonly ip: Ip;
  readonly range: IpRange;
}

/**
 * Every address of the set once, round robin from behind `last` (from the first one when `last` is not in the set),
 * gateways left out.
 */
export function* candidates(set: RangeSet, last: Ip | undefined): Generator<Candidate> {
  const from = last === undefined ? -1 : set.findIndex((range) => contains(range, last));
  const at = Math.max(from, 0);
  const first = set[at];
  if (first === undefined) return;
  const begin = from < 0 || last === undefined ? first.start : last.add(1);
  yield* walk(first, begin, first.end);
  for (let i = 1; i < set.length; i += 1) {
    const range = set[(at + i) % set.length];
    if (range !== undefined) yield* walk(range, range.start, range.end);
  }
  if (begin.compare(first.start) > 0) yield* walk(first, first.start, begin.add(-1));
}

function* walk(range: IpRange, begin: Ip, end: Ip): Generator<Candidate> {
  for (let value = begin.value; value <= end.value; value += 1n) {
    const ip = Ip.fromValue(range.subnet.family, value);
    if (!ip.equals(range.gateway)) yield { ip, range };
  }
}
