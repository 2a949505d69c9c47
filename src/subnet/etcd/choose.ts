import { Cidr } from '#net/cidr.ts';
import type { Family } from '#net/family.ts';
import type { Ip } from '#net/ip.ts';
import type { NetworkConfig } from '../config.ts';
import type { SubnetLayout } from '../layout.ts';
import type { PerFamily } from '../lease.ts';
import type { Entry } from './entry.ts';

/** What to do to get a subnet. */
export type Choice =
  /** This entry is ours: its public address is. */
  | { readonly kind: 'adopt'; readonly entry: Entry }
  /** This entry is ours, but does not fit the configuration (any more). */
  | { readonly kind: 'drop'; readonly entry: Entry }
  | { readonly kind: 'create'; readonly subnets: PerFamily<Cidr>; readonly previous: boolean }
  | { readonly kind: 'full'; readonly family: Family };

export interface ChooseFrom {
  readonly config: NetworkConfig;
  readonly entries: readonly Entry[];
  readonly publicIps: PerFamily<Ip>;
  /** What `subnet.env` says of an earlier run. */
  readonly previous: PerFamily<Cidr>;
  /** Uniform random in [0, 1). */
  readonly random: () => number;
}

/** How many free subnets the choice is made among. */
const CANDIDATES = 100;

/** The order of choice: our lease by public address, the previous subnet when it is free, a random one of the first free ones. */
export function chooseSubnets(from: ChooseFrom): Choice {
  const { config, entries, publicIps, previous } = from;
  const mine = entries.find((entry) => isOurs(entry, publicIps, config));
  if (mine !== undefined) {
    if (fits(mine.subnets, config)) return { kind: 'adopt', entry: mine };
    // A reservation that does not fit is the operator's: left alone.
    if (mine.lease !== 0n) return { kind: 'drop', entry: mine };
  }
  if (fits(previous, config) && isFree(previous, entries)) {
    return { kind: 'create', subnets: previous, previous: true };
  }
  const subnets: Partial<Record<Family, Cidr>> = {};
  for (const family of config.families) {
    const layout = config.layouts[family];
    const free = layout === undefined ? [] : freeSubnets(layout, taken(entries, family));
    const chosen = free[Math.floor(from.random() * free.length)];
    if (chosen === undefined) return { kind: 'full', family };
    subnets[family] = chosen;
  }
  return { kind: 'create', subnets, previous: false };
}

/** The public address of the first enabled family decides, as in the original. */
export function isOurs(entry: Entry, publicIps: PerFamily<Ip>, config: NetworkConfig): boolean {
  if (typeof entry.value === 'string') return false;
  const family = config.families.find((each) => publicIps[each] !== undefined);
  const ours = family === undefined ? undefined : publicIps[family];
  const theirs = family === undefined ? undefined : entry.value.publicIp[family];
  return ours !== undefined && theirs?.equals(ours) === true;
}

/** True when there is one subnet for each enabled family, of the configured length, inside the configured range. */
export function fits(subnets: PerFamily<Cidr>, config: NetworkConfig): boolean {
  return (['ipv4', 'ipv6'] as const).every((family) => {
    const subnet = subnets[family];
    if (!config.families.includes(family)) return subnet === undefined;
    const layout = config.layouts[family];
    if (subnet === undefined || layout === undefined || subnet.length !== layout.length) return false;
    return subnet.ip.compare(layout.min) >= 0 && subnet.ip.compare(layout.max) <= 0;
  });
}

function isFree(subnets: PerFamily<Cidr>, entries: readonly Entry[]): boolean {
  return Object.values(subnets).every((subnet) => {
    return taken(entries, subnet.family).every((other) => !other.overlaps(subnet));
  });
}

function taken(entries: readonly Entry[], family: Family): Cidr[] {
  return entries.flatMap(({ subnets }) => subnets[family] ?? []);
}

/** The first free subnets of the range. */
function freeSubnets(layout: SubnetLayout, others: readonly Cidr[]): Cidr[] {
  // Thousands of leases of the usual length are looked up; only odd ones are compared one by one.
  const usual = new Set<bigint>();
  const odd: Cidr[] = [];
  for (const other of others) {
    if (other.length === layout.length) usual.add(other.ip.value);
    else odd.push(other);
  }
  const size = 1n << BigInt(layout.min.bits - layout.length);
  const free: Cidr[] = [];
  for (let ip = layout.min; ip.compare(layout.max) <= 0 && free.length < CANDIDATES; ip = ip.add(size)) {
    const subnet = new Cidr(ip, layout.length);
    if (!usual.has(ip.value) && odd.every((other) => !other.overlaps(subnet))) free.push(subnet);
    // The last address of the family has no successor.
    if (ip.equals(layout.max)) break;
  }
  return free;
}
