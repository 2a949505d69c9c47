import { ConfigError } from '#base/errors.ts';
import { nearest } from '#subnet/nearest.ts';
import { podsOf, type Attempt, type Draw, type FaultKind } from './fault.ts';
import { AGENT_FAULTS } from './faults/agent.ts';
import { API_FAULTS } from './faults/api.ts';
import { BACKEND_FAULTS } from './faults/backend.ts';
import { EXTERNAL_FAULTS } from './faults/external.ts';
import { KERNEL_FAULTS } from './faults/kernel.ts';
import { LIFECYCLE_FAULTS } from './faults/lifecycle.ts';
import { PAPER_FAULTS } from './faults/paper.ts';
import { POD_FAULTS } from './faults/pods.ts';
import { ROGUE_FAULTS } from './faults/rogue.ts';
import type { SoakNode } from './node.ts';
import type { Random } from './random.ts';

/** All kinds of faults. */
export const FAULT_KINDS: readonly FaultKind[] = [
  ...KERNEL_FAULTS,
  ...AGENT_FAULTS,
  ...API_FAULTS,
  ...PAPER_FAULTS,
  ...ROGUE_FAULTS,
  ...BACKEND_FAULTS,
  ...LIFECYCLE_FAULTS,
  ...EXTERNAL_FAULTS,
  ...POD_FAULTS,
];

/** The kinds of these names. Throws ConfigError for one that does not exist. */
export function kindsNamed(names: readonly string[] | undefined): readonly FaultKind[] {
  if (names === undefined) return FAULT_KINDS;
  const all = FAULT_KINDS.map(({ name }) => name);
  for (const name of names) {
    if (all.includes(name)) continue;
    const near = nearest(name, all);
    const hint = near === undefined ? '' : `; did you mean ${near}?`;
    throw new ConfigError('--faults', `there is no fault ${JSON.stringify(name)}${hint}`);
  }
  return FAULT_KINDS.filter(({ name }) => names.includes(name));
}

/** A fault that is about to happen. */
export interface DrawnFault {
  readonly kind: FaultKind;
  readonly node: SoakNode;
  readonly attempt: Attempt;
}

/** Where it happens, in words. */
export function placeOf({ kind, node }: DrawnFault): string {
  return kind.on === 'api' ? 'API server' : node.name;
}

export interface RoundDraw extends Pick<Draw, 'cluster' | 'random' | 'settled'> {
  readonly kinds: readonly FaultKind[];
}

/**
 * What happens next: mostly one fault, now and then two or three at once, each on another node. The agent of the last node
 * is never ended: it has to show that it does not grow.
 */
export function drawRound({ cluster, random, kinds, settled }: RoundDraw): DrawnFault[] {
  const at = random.next();
  const count = at < 0.7 ? 1 : at < 0.9 ? 2 : 3;
  const nodes = random.shuffled(cluster.nodes).slice(0, count);
  const drawn: DrawnFault[] = [];
  for (const node of nodes) {
    const possible = kinds.filter(
      (kind) =>
        (kind.endsAgent !== true || node !== cluster.nodes.at(-1)) &&
        (kind.fits?.(node) ?? true) &&
        (kind.on !== 'api' || drawn.every((other) => other.kind.on !== 'api')),
    );
    const kind = weighted(possible, random);
    if (kind !== undefined)
      drawn.push({
        kind,
        node,
        attempt: kind.draw({ cluster, random, node, settled, alone: nodes.length === 1 }),
      });
  }
  return drawn.map((each) => (restsOnRecord(each, drawn) ? excused(each) : each));
}

/**
 * An agent that starts while the API server does not answer goes on with the last known state, and that may be half a minute old
 * (docs/configuration.md): what changed since is wrong until the server answers.
 */
function restsOnRecord({ kind }: DrawnFault, drawn: readonly DrawnFault[]): boolean {
  return kind.endsAgent === true && drawn.some((other) => other.kind.on === 'api');
}

function excused(fault: DrawnFault): DrawnFault {
  const { node, attempt } = fault;
  return { ...fault, attempt: { ...attempt, hurts: [...attempt.hurts, ...podsOf(node)] } };
}

function weighted(kinds: readonly FaultKind[], random: Random): FaultKind | undefined {
  const weight = (kind: FaultKind) => kind.weight ?? 1;
  let left = random.next() * kinds.reduce((sum, kind) => sum + weight(kind), 0);
  return kinds.find((kind) => (left -= weight(kind)) < 0);
}
