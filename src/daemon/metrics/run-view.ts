import type { Sample } from '#base/metrics.ts';
import type { HostPlan } from '#host/plan.ts';
import { FAMILIES } from '#net/family.ts';
import type { Cidr } from '#net/cidr.ts';
import type { PerFamily } from '#subnet/lease.ts';
import { capacity, reserved } from './addresses.ts';

/** Number of planned objects by kind. */
export function plannedSamples(plan: HostPlan): Sample[] {
  const counts = new Map([
    ['link', plan.links.length],
    ['address', plan.links.reduce((sum, link) => sum + link.addresses.length, 0)],
    ['neighbour', 0],
    ['fdb', 0],
    ['route', 0],
    ['blackhole', plan.blackholes.length],
  ]);
  for (const { type } of plan.entries.values()) counts.set(type, (counts.get(type) ?? 0) + 1);
  return [...counts].map(([kind, count]) => [{ kind }, count] as const);
}

/** What host-local can hand out of this node's subnets, by family. */
export function capacitySamples(subnets: PerFamily<Cidr>): Sample[] {
  return known(subnets).map((subnet) => [{ family: subnet.family }, capacity(subnet)]);
}

/** What of it is reserved; none when `dir`, host-local's, cannot be seen. */
export function reservedSamples(subnets: PerFamily<Cidr>, dir: string): Sample[] {
  const list = known(subnets);
  const counts = reserved(dir, list) ?? [];
  return list.flatMap(({ family }, at) => {
    const count = counts[at];
    return count === undefined ? [] : [[{ family }, count] as const];
  });
}

function known(subnets: PerFamily<Cidr>): Cidr[] {
  return FAMILIES.flatMap((family) => subnets[family] ?? []);
}
