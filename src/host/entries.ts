import { FAMILIES, type Family } from '#net/family.ts';
import type { HostLink, HostRoute, KernelPort } from './kernel.ts';
import { entryKey, sameEntry, type Entry, type HostPlan, type RouteEntry } from './plan.ts';

export interface LiveOptions {
  readonly links: ReadonlyMap<string, HostLink>;
  /** Routes through other links that we once made. */
  readonly remembered: readonly RouteEntry[];
  /** Called after each table with thousands of entries. */
  readonly relax: () => void;
  /** Told of every route in the very place of a planned one, or before it, that is another. */
  readonly onRival: (rival: Rival) => void;
}

/** Somebody's route to the destination of one of ours. */
export interface Rival {
  readonly wanted: RouteEntry;
  readonly there: HostRoute;
  /** It has another priority: the kernel asks it first, but it is not in our place. */
  readonly before: boolean;
}

/** So many entries leave garbage that is worth collecting. */
const LARGE = 1000;

/**
 * What is in the kernel and ours: permanent neighbours, FDB entries with a destination and routes with a gateway on our
 * links; through other links only routes that are planned, or that we remember having made.
 */
export function* liveEntries(kernel: KernelPort, plan: HostPlan, options: LiveOptions): Generator<Entry> {
  // The tables themselves are no longer referred to here, only how long they were.
  const relax = (rows: number) => {
    if (rows > LARGE) options.relax();
  };
  for (const { name } of plan.links) {
    const link = options.links.get(name)?.index;
    if (link === undefined) continue;
    for (const family of FAMILIES) relax(yield* liveNeighbours(kernel, family, { name, index: link }));
    relax(yield* liveFdb(kernel, { name, index: link }));
  }
  const names = new Map([...options.links.values()].map(({ name, index }) => [index, name]));
  const view = { plan, names, mine: new Map(options.remembered.map((route) => [entryKey(route), route])) };
  for (const family of FAMILIES) {
    let rows = 0;
    for (const route of kernel.routes(family)) {
      rows += 1;
      const entry = liveRoute(route, view, options.onRival);
      if (entry !== undefined) yield entry;
    }
    relax(rows);
  }
}

/** The priority that a route gets when none is asked for, as ours: 0 in IPv4, IP6_RT_PRIO_USER (`linux/ipv6_route.h`) in IPv6. */
export const DEFAULT_PRIORITY: Readonly<Record<Family, number>> = { ipv4: 0, ipv6: 1024 };

/** True for the priority that ours have. */
export function hasDefaultPriority(family: Family, priority: number | undefined): boolean {
  return priority === undefined || priority === DEFAULT_PRIORITY[family];
}

interface OnLink {
  readonly name: string;
  readonly index: number;
}

/** As `liveFdb` returns how long the table was. */
function* liveNeighbours(kernel: KernelPort, family: Family, link: OnLink): Generator<Entry, number> {
  let rows = 0;
  for (const { ip, mac, permanent } of kernel.neighbours(link.index, family)) {
    rows += 1;
    if (permanent && mac !== undefined) yield { type: 'neighbour', link: link.name, ip, mac };
  }
  return rows;
}

function* liveFdb(kernel: KernelPort, link: OnLink): Generator<Entry, number> {
  let rows = 0;
  for (const { mac, dst, permanent } of kernel.fdb(link.index)) {
    rows += 1;
    if (permanent && dst !== undefined) yield { type: 'fdb', link: link.name, mac, dst };
  }
  return rows;
}

interface RouteView {
  readonly plan: HostPlan;
  /** Of links, by index. */
  readonly names: ReadonlyMap<number, string>;
  /** Remembered routes by key. */
  readonly mine: ReadonlyMap<string, RouteEntry>;
}

/**
 * One route as an entry, when it is ours or stands in the place of one of ours. Of another priority it is not ours, and
 * lives beside.
 */
function liveRoute(
  route: HostRoute,
  { plan, names, mine }: RouteView,
  onRival: LiveOptions['onRival'],
): RouteEntry | undefined {
  const { dst, gateway, onlink, priority } = route;
  if (route.byKernel || dst === undefined) return undefined;
  const key = `r ${dst}`;
  const planned = plan.entries.get(key);
  const wanted = planned?.type === 'route' ? planned : undefined;
  if (!hasDefaultPriority(dst.family, priority)) {
    const before = priority !== undefined && priority < DEFAULT_PRIORITY[dst.family];
    if (wanted !== undefined && before) onRival({ wanted, there: route, before });
    return undefined;
  }
  const link = route.link === undefined ? undefined : names.get(route.link);
  const entry: RouteEntry | undefined =
    link === undefined || gateway === undefined || route.blocking === true
      ? undefined
      : { type: 'route', link, dst, gateway, onlink };
  if (wanted !== undefined) {
    if (entry === undefined || !sameEntry(entry, wanted)) onRival({ wanted, there: route, before: false });
    return entry;
  }
  if (entry === undefined || plan.links.some(({ name }) => name === link)) return entry;
  const remembered = mine.get(key);
  return remembered?.link === link && remembered?.gateway.equals(entry.gateway) ? entry : undefined;
}

/** Where a rival leads, as `ip route` would say it. */
export function describeRival({ gateway, link, blocking }: HostRoute, links: LiveOptions['links']): string {
  if (blocking === true) return 'it leads nowhere';
  const name = [...links.values()].find(({ index }) => index === link)?.name;
  return [gateway === undefined ? '' : `via ${gateway}`, name === undefined ? 'several ways' : `dev ${name}`]
    .join(' ')
    .trim();
}
