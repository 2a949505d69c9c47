import { KERNEL_FAULTS } from './faults/kernel.ts';
import type { RoundRecord } from './rounds.ts';
import { median } from './samples.ts';

/** A change of the kernel is repaired within this on most occasions, ms. */
const USUAL = 1000;
/** Of fewer occasions nothing is said. */
const ENOUGH = 5;

/** How long the repairs of one kind took, ms, where the fault came alone. */
export function repairsOf(kind: string, rounds: readonly RoundRecord[]): number[] {
  return rounds
    .filter(({ faults }) => faults.length === 1 && faults[0]?.kind.name === kind)
    .map(({ repair }) => repair);
}

/** The repairs of the kernel must take less than a second, seen over the whole run. */
export function slowKinds(rounds: readonly RoundRecord[]): string[] {
  // The period of the iptables mode is longer than a second.
  const kinds = KERNEL_FAULTS.filter(({ name }) => name !== 'rules-flushed');
  const all = kinds.flatMap(({ name }) => repairsOf(name, rounds));
  const middle = median(all);
  if (all.length < ENOUGH || middle <= USUAL) return [];
  return [
    `repairs of the kernel take ${Math.round(middle)} ms (median of ${all.length}), more than ${USUAL} ms`,
  ];
}
