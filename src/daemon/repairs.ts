import type { Clock } from '#base/clock.ts';
import type { AgentMetrics, RepairKind } from './metrics/agent.ts';
import type { Repair } from './status.ts';

/** Counts what was mended, and remembers the last of it. */
export class Repairs {
  readonly #metrics: AgentMetrics;
  readonly #clock: Clock;
  readonly #remembered: number;
  readonly #last: Repair[] = [];

  /** `remembered`: how many. */
  constructor(metrics: AgentMetrics, clock: Clock, remembered: number) {
    this.#metrics = metrics;
    this.#clock = clock;
    this.#remembered = remembered;
  }

  /** The newest last. */
  get last(): readonly Repair[] {
    return this.#last;
  }

  /** `what` was found, in words. */
  note(counts: ReadonlyMap<RepairKind, number>, what: string): void {
    if (counts.size === 0) return;
    for (const [kind, count] of counts) this.#metrics.repaired(kind, count);
    this.#last.push({ at: this.#clock.now(), counts: Object.fromEntries(counts), what: what.slice(0, 300) });
    if (this.#last.length > this.#remembered) this.#last.shift();
  }
}
