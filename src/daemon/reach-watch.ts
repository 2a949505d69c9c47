import type { Clock } from '#base/clock.ts';

/** Addresses and routes come in groups: wait for the rest, ms. */
const SETTLE = 200;
/** At most this share of the time is spent on it: a routing daemon may change routes without end. */
const SHARE = 0.02;

export interface ReachWatchOptions {
  readonly clock: Clock;
  /** Asks anew which peers are on the link. */
  readonly again: () => void;
}

/** After a change of the host's routes, has the peers planned again: soon, once for many changes. */
export class ReachWatch implements Disposable {
  readonly #options: ReachWatchOptions;
  readonly #end = new AbortController();
  #waiting = false;
  #earliest = Number.NEGATIVE_INFINITY;

  constructor(options: ReachWatchOptions) {
    this.#options = options;
  }

  poke(): void {
    if (this.#waiting) return;
    this.#waiting = true;
    const { clock } = this.#options;
    const wait = Math.max(SETTLE, this.#earliest - clock.monotonic());
    // Rejects only when disposed.
    void clock.sleep(wait, this.#end.signal).then(
      () => this.#look(),
      () => {},
    );
  }

  [Symbol.dispose](): void {
    this.#end.abort();
  }

  #look(): void {
    const { clock, again } = this.#options;
    this.#waiting = false;
    const start = clock.monotonic();
    again();
    this.#earliest = start + (clock.monotonic() - start) / SHARE;
  }
}
