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
 * Offers every address of the set once, round robin from behind `last` (from the first one when `last` is not in the
 * set), gateways left out, until `accept` takes one; undefined when it takes none. Not a generator: the first one of a
 * process costs it more than all the rest of an allocation.
 */
export function firstCandidate(
  set: RangeSet,
  last: Ip | undefined,
  accept: (candidate: Candidate) => boolean,
): Candidate | undefined {
  const from = last === undefined ? -1 : set.findIndex((range) => contains(range, last));
  const at = Math.max(from, 0);
  const first = set[at];
  if (first === undefined) return undefined;
  const begin = from < 0 || last === undefined ? first.start.value : last.value + 1n;
  let found = walk(first, { begin, end: first.end.value }, accept);
  for (let i = 1; found === undefined && i < set.length; i += 1) {
    const range = set[(at + i) % set.length];
    if (range !== undefined) found = walk(range, { begin: range.start.value, end: range.end.value }, accept);
  }
  return found ?? walk(first, { begin: first.start.value, end: begin - 1n }, accept);
}

function walk(
  range: IpRange,
  { begin, end }: { readonly begin: bigint; readonly end: bigint },
  accept: (candidate: Candidate) => boolean,
): Candidate | undefined {
  for (let value = begin; value <= end; value += 1n) {
    if (value === range.gateway.value) continue;
    const candidate = { ip: Ip.fromValue(range.subnet.family, value), range };
    if (accept(candidate)) return candidate;
  }
  return undefined;
}
