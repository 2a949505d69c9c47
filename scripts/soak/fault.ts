import type { Cluster } from './cluster.ts';
import type { Scope } from './ledger.ts';
import type { SoakNode } from './node.ts';
import type { Random } from './random.ts';

/** One fault as it was drawn: nothing about it is left to chance when it runs. */
export interface Attempt {
  /** In the words of an operator, e.g. `ip link delete flannel.1`. */
  readonly what: string;
  /** The packets that it may cost until everything is as planned again; empty: none. */
  readonly hurts: readonly Scope[];
  /** Everything must be as planned so long after the fault is over, ms. */
  readonly bound: number;
  /** Packets may be lost for so long after everything is as planned, ms; default 300: some are on their way. */
  readonly grace?: number;
  /** Breaks something; resolves when nobody breaks anything any more. */
  readonly run: () => Promise<void>;
}

export interface Draw {
  readonly cluster: Cluster;
  readonly random: Random;
  /** Where it happens. */
  readonly node: SoakNode;
  /** Nothing else happens at the same time: what a fault changes must be there. */
  readonly alone: boolean;
  /**
   * Waits in the middle of a fault until everything is as planned, at most `bound` ms, and fails the soak when it then is not.
   */
  readonly settled: (bound: number) => Promise<void>;
}

/** A kind of fault. */
export interface FaultKind {
  readonly name: string;
  /** How often it is drawn, compared with others; default 1. */
  readonly weight?: number;
  /** `api`: of the API server, so for all nodes; only one of them at a time. */
  readonly on: 'node' | 'api';
  /** Ends the agent's process. One node is spared: its agent lives as long as the soak. */
  readonly endsAgent?: boolean;
  /** Left out where it is false; default: everywhere. */
  readonly fits?: (node: SoakNode) => boolean;
  readonly draw: (draw: Draw) => Attempt;
}

/** A change of the kernel has to be repaired within this, ms. */
export const KERNEL_BOUND = 3000;

export function podsOf(node: SoakNode): Scope[] {
  return [{ node: node.name, what: 'pods' }];
}

export function allOf(node: SoakNode): Scope[] {
  return [{ node: node.name, what: 'all' }];
}
