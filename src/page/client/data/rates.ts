import type { Counters } from '../../model.ts';

/** Per second, between two answers. */
export interface Rate {
  readonly rxBytes: number;
  readonly txBytes: number;
  readonly rxPackets: number;
  readonly txPackets: number;
}

interface Track {
  at: number;
  counters: Counters;
  rate: Rate | undefined;
  /** Bytes per second in both directions together, oldest first. */
  history: number[];
}

const HISTORY = 40;

/** Rates of interfaces from their growing counters, and their last minutes. Keys are the caller's. */
export class Meter {
  #tracks = new Map<string, Track>();

  /** One answer: `at` in ms by the server's clock. Interfaces that are not in it are forgotten. */
  take(at: number, counters: ReadonlyMap<string, Counters>): void {
    const next = new Map<string, Track>();
    for (const [key, now] of counters) next.set(key, advance(this.#tracks.get(key), at, now));
    this.#tracks = next;
  }

  /** Undefined until there were two answers, and after an interface was made anew. */
  rate(key: string): Rate | undefined {
    return this.#tracks.get(key)?.rate;
  }

  history(key: string): readonly number[] {
    return this.#tracks.get(key)?.history ?? [];
  }
}

function advance(before: Track | undefined, at: number, counters: Counters): Track {
  if (before === undefined) return { at, counters, rate: undefined, history: [] };
  // The same answer again, or a clock that was set back: nothing can be said of the time between.
  if (at === before.at) return before;
  const rate = at > before.at ? rateBetween(before.counters, counters, (at - before.at) / 1000) : undefined;
  const history = rate === undefined ? [] : [...before.history, rate.rxBytes + rate.txBytes].slice(-HISTORY);
  return { at, counters, rate, history };
}

function rateBetween(before: Counters, now: Counters, seconds: number): Rate | undefined {
  const rate = {
    rxBytes: (now.rxBytes - before.rxBytes) / seconds,
    txBytes: (now.txBytes - before.txBytes) / seconds,
    rxPackets: (now.rxPackets - before.rxPackets) / seconds,
    txPackets: (now.txPackets - before.txPackets) / seconds,
  };
  // Counters only grow while an interface lives: this is another one of the same name.
  return Object.values(rate).every((value) => Number.isFinite(value) && value >= 0) ? rate : undefined;
}
