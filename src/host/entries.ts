import { FAMILIES } from '#net/family.ts';
import type { HostLink, KernelPort } from './kernel.ts';
import { entryKey, type Entry, type HostPlan, type RouteEntry } from './plan.ts';

export interface LiveOptions {
  readonly links: ReadonlyMap<string, HostLink>;
  /** Routes through other links that we once made. */
  readonly remembered: readonly RouteEntry[];
}

/**
 * What is in the kernel and ours: permanent neighbours, FDB entries with a destination and routes with a gateway on our
 * links; through other links only routes that are planned, or that we remember having made.
 */
export function liveEntries(kernel: KernelPort, plan: HostPlan, options: LiveOptions): Map<string, Entry> {
  const live = new Map<string, Entry>();
  const add = (entry: Entry) => live.set(entryKey(entry), entry);
  for (const { name } of plan.links) {
    const link = options.links.get(name)?.index;
    if (link === undefined) continue;
    for (const family of FAMILIES) {
      for (const { ip, mac, permanent } of kernel.neighbours(link, family)) {
        if (permanent && mac !== undefined) add({ type: 'neighbour', link: name, ip, mac });
      }
      for (const { dst, gateway, onlink, byKernel } of kernel.routes(family, link)) {
        if (byKernel || dst === undefined || gateway === undefined) continue;
        add({ type: 'route', link: name, dst, gateway, onlink });
      }
    }
    for (const { mac, dst, permanent } of kernel.fdb(link)) {
      if (permanent && dst !== undefined) add({ type: 'fdb', link: name, mac, dst });
    }
  }
  addDirectRoutes(kernel, plan, options, live);
  return live;
}

/** Adds to `live` the routes out of foreign links that are planned or remembered. */
function addDirectRoutes(
  kernel: KernelPort,
  plan: HostPlan,
  options: LiveOptions,
  live: Map<string, Entry>,
): void {
  const ours = new Set(plan.links.map((link) => link.name));
  const mine = new Map(options.remembered.map((route) => [entryKey(route), route]));
  const foreign = new Set(options.remembered.map((route) => route.link));
  for (const entry of plan.entries.values()) {
    if (entry.type === 'route' && !ours.has(entry.link)) foreign.add(entry.link);
  }
  for (const name of foreign) {
    const link = options.links.get(name)?.index;
    if (link === undefined || ours.has(name)) continue;
    for (const family of FAMILIES) {
      for (const { dst, gateway, onlink, byKernel } of kernel.routes(family, link)) {
        if (byKernel || dst === undefined || gateway === undefined) continue;
        const entry: RouteEntry = { type: 'route', link: name, dst, gateway, onlink };
        const key = entryKey(entry);
        const remembered = mine.get(key);
        const made =
          remembered !== undefined && remembered.link === name && remembered.gateway.equals(gateway);
        if (made || plan.entries.has(key)) live.set(key, entry);
      }
    }
  }
}
