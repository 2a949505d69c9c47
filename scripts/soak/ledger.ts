import type { LossRun } from './prober/protocol.ts';

/** What packets flow between: the two nodes, and whether the far end is a pod or lies outside of the cluster. */
export interface Way {
  readonly from: string;
  /** Undefined for the outside world. */
  readonly to: string | undefined;
}

/** Which packets a fault may cost. */
export interface Scope {
  /** The node that the fault is on; every way that begins or ends there may be cut. */
  readonly node: string;
  /** `pods`: between pods; `world`: to the outside world; `all`: both. */
  readonly what: 'pods' | 'world' | 'all';
}

/** A time in which packets of a scope may be lost. */
interface Excuse {
  readonly scope: Scope;
  /** The kind of fault. */
  readonly kind: string;
  readonly since: number;
  until: number;
}

/** A loss that nothing excuses. */
export interface Blame {
  readonly pair: string;
  readonly at: number;
  readonly count: number;
  readonly ms: number;
}

/** Whether the machine threw packets away at a time. */
export interface MachineView {
  hadTrouble(first: number, last: number): boolean;
}

/** Excuses are kept this long, ms: losses are reported seconds after they happened. */
const KEPT = 120_000;

/** Knows which losses had to be expected. Times are ms since the epoch. */
export class Ledger {
  readonly #ways = new Map<string, Way>();
  #excuses: Excuse[] = [];
  readonly #machine: MachineView;
  #lost = 0;
  #lostByMachine = 0;
  readonly #blames: Blame[] = [];
  readonly #lostBy = new Map<string, number>();

  constructor(machine: MachineView) {
    this.#machine = machine;
  }

  /** Names the way of a pair; it stays known when the pair is gone. */
  know(pair: string, way: Way): void {
    this.#ways.set(pair, way);
  }

  /** Opens excuses; what it returns closes them at a time. */
  excuse(scopes: readonly { kind: string; scope: Scope }[], since: number): (until: number) => void {
    const opened = scopes.map((each): Excuse => ({ ...each, since, until: Number.POSITIVE_INFINITY }));
    this.#excuses = [...this.#excuses.filter(({ until }) => until > since - KEPT), ...opened];
    return (until) => {
      for (const excuse of opened) excuse.until = until;
    };
  }

  /** Takes what the prober reports. A run of losses must lie within one excuse as a whole. */
  take(loss: LossRun): void {
    this.#lost += loss.count;
    const way = this.#ways.get(loss.pair);
    const excuse = way && this.#excuses.find((each) => covers(each, way, loss));
    if (excuse !== undefined) {
      this.#lostBy.set(excuse.kind, (this.#lostBy.get(excuse.kind) ?? 0) + loss.count);
      return;
    }
    if (this.#machine.hadTrouble(loss.first, loss.last)) {
      this.#lostByMachine += loss.count;
      return;
    }
    this.#blames.push({ pair: loss.pair, at: loss.first, count: loss.count, ms: loss.last - loss.first });
  }

  /** All packets lost so far, excused or not. */
  get lost(): number {
    return this.#lost;
  }

  /** Those that the machine had no room for. */
  get lostByMachine(): number {
    return this.#lostByMachine;
  }

  /** Packets that a kind of fault has cost. */
  lostBy(kind: string): number {
    return this.#lostBy.get(kind) ?? 0;
  }

  get blames(): readonly Blame[] {
    return this.#blames;
  }
}

function covers({ scope, since, until }: Excuse, way: Way, loss: LossRun): boolean {
  const touched = way.from === scope.node || way.to === scope.node;
  const kind = way.to === undefined ? 'world' : 'pods';
  if (!touched || (scope.what !== 'all' && scope.what !== kind)) return false;
  return loss.first >= since && loss.last <= until;
}
