import { FAMILIES, type Family } from '#net/family.ts';
import type { HostLink, KernelPort } from './kernel.ts';
import { entryKey, type Entry, type HostPlan, type RouteEntry } from './plan.ts';

export interface LiveOptions {
  readonly links: ReadonlyMap<string, HostLink>;
  /** Routes through other links that we once made. */
  readonly remembered: readonly RouteEntry[];
  /** Called after each table. */
  readonly relax: () => void;
}

/**
 * What is in the kernel and ours: permanent neighbours, FDB entries with a destination and routes with a gateway on our
 * links; through other links only routes that are planned, or that we remember having made.
 */
export function* liveEntries(kernel: KernelPort, plan: HostPlan, options: LiveOptions): Generator<Entry> {
  for (const { name } of plan.links) {
    const link = options.links.get(name)?.index;
    if (link === undefined) continue;
    for (const family of FAMILIES) {
      for (const { ip, mac, permanent } of kernel.neighbours(link, family)) {
        if (permanent && mac !== undefined) yield { type: 'neighbour', link: name, ip, mac };
      }
      options.relax();
      yield* liveRoutes(kernel, family, { name, index: link });
      options.relax();
    }
    for (const { mac, dst, permanent } of kernel.fdb(link)) {
      if (permanent && dst !== undefined) yield { type: 'fdb', link: name, mac, dst };
    }
    options.relax();
  }
  yield* directRoutes(kernel, plan, options);
}

/** True for the priority that a route gets when none is asked for, as ours: 0 in IPv4, 1024 in IPv6. */
export function hasDefaultPriority(family: Family, priority: number | undefined): boolean {
  return priority === undefined || priority === (family === 'ipv4' ? 0 : 1024);
}

/** The routes with a gateway out of one link. Of another priority they are not ours, and live beside ours. */
function* liveRoutes(
  kernel: KernelPort,
  family: Family,
  link: { readonly name: string; readonly index: number },
): Generator<RouteEntry> {
  for (const { dst, gateway, onlink, byKernel, priority } of kernel.routes(family, link.index)) {
    if (byKernel || !hasDefaultPriority(family, priority)) continue;
    if (dst !== undefined && gateway !== undefined) {
      yield { type: 'route', link: link.name, dst, gateway, onlink };
    }
  }
}

/** The routes out of foreign links that are planned or remembered. */
function* directRoutes(kernel: KernelPort, plan: HostPlan, options: LiveOptions): Generator<RouteEntry> {
  const ours = new Set(plan.links.map((link) => link.name));
  const mine = new Map(options.remembered.map((route) => [entryKey(route), route]));
  const foreign = new Set(options.remembered.map((route) => route.link));
  for (const entry of plan.entries.values()) {
    if (entry.type === 'route' && !ours.has(entry.link)) foreign.add(entry.link);
  }
  for (const name of foreign) {
    const index = options.links.get(name)?.index;
    if (index === undefined || ours.has(name)) continue;
    for (const family of FAMILIES) {
      for (const entry of liveRoutes(kernel, family, { name, index })) {
        const key = entryKey(entry);
        const remembered = mine.get(key);
        const made = remembered?.link === name && remembered.gateway.equals(entry.gateway);
        if (made || plan.entries.has(key)) yield entry;
      }
    }
  }
}
