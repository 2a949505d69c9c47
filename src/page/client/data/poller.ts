import { Backoff } from '#base/backoff.ts';

export interface Timers {
  set(then: () => void, ms: number): unknown;
  clear(timer: unknown): void;
}

export interface PollerOptions {
  /** Asks once; rejects when there was no usable answer. The signal ends it. */
  readonly ask: (signal: AbortSignal) => Promise<void>;
  /** Between an answer and the next question, ms. */
  readonly interval: number;
  /** How long an answer may take, ms. */
  readonly timeout: number;
  readonly timers: Timers;
  readonly random: () => number;
}

/**
 * Asks again and again, one question at a time: the next one goes out an interval after the last was answered, and later and
 * later (to 15 s) while there is no answer. A paused poller asks nothing and asks at once when it goes on.
 */
export class Poller {
  readonly #options: PollerOptions;
  readonly #backoff: Backoff;
  #timer: unknown;
  #running: AbortController | undefined;
  #paused = true;
  /** Asked for while a question was under way. */
  #again = false;

  constructor(options: PollerOptions) {
    this.#options = options;
    this.#backoff = new Backoff({ initial: 2 * options.interval, max: 15_000, random: options.random });
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.now();
  }

  pause(): void {
    this.#paused = true;
    this.#again = false;
    this.#options.timers.clear(this.#timer);
    this.#running?.abort();
  }

  /** Asks at once, or right after the question that is under way. */
  now(): void {
    if (this.#paused) return;
    if (this.#running !== undefined) {
      this.#again = true;
      return;
    }
    this.#options.timers.clear(this.#timer);
    void this.#ask();
  }

  async #ask(): Promise<void> {
    const { ask, interval, timeout, timers } = this.#options;
    const running = new AbortController();
    this.#running = running;
    const late = timers.set(
      () => running.abort(new DOMException('no answer in time', 'TimeoutError')),
      timeout,
    );
    let delay = interval;
    try {
      await ask(running.signal);
      this.#backoff.reset();
    } catch {
      // `ask` has told the reader; here it only means to wait longer.
      delay = this.#backoff.next();
    }
    timers.clear(late);
    this.#running = undefined;
    if (this.#paused) return;
    const again = this.#again;
    this.#again = false;
    this.#timer = timers.set(() => void this.#ask(), again ? 0 : delay);
  }
}
