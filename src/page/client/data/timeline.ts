import type { RepairView } from '../../model.ts';

/** Repairs that happened together. */
export interface Episode {
  readonly from: number;
  readonly to: number;
  /** Objects by kind, most first. */
  readonly counts: readonly (readonly [kind: string, count: number])[];
  /** The newest first. */
  readonly repairs: readonly RepairView[];
}

/** Repairs with less than `gap` ms between them are one episode. The newest episode comes first. */
export function episodes(repairs: readonly RepairView[], gap = 60_000): Episode[] {
  const groups: RepairView[][] = [];
  for (const repair of repairs.toSorted((a, b) => b.at - a.at)) {
    const group = groups.at(-1);
    const last = group?.at(-1);
    if (group !== undefined && last !== undefined && last.at - repair.at < gap) group.push(repair);
    else groups.push([repair]);
  }
  return groups.map((group) => ({
    from: group.at(-1)?.at ?? 0,
    to: group[0]?.at ?? 0,
    counts: total(group),
    repairs: group,
  }));
}

function total(repairs: readonly RepairView[]): (readonly [string, number])[] {
  const sums = new Map<string, number>();
  for (const { counts } of repairs) {
    for (const [kind, count] of Object.entries(counts)) sums.set(kind, (sums.get(kind) ?? 0) + count);
  }
  return [...sums].toSorted((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
}
