export interface BackoffOptions {
  /** First delay, ms. */
  readonly initial: number;
  /** Largest delay, ms. */
  readonly max: number;
  /** Uniform random in [0, 1). */
  readonly random: () => number;
}

/** Exponential back-off with full jitter in the upper half: delays in [d/2, d), d doubling up to `max`. */
export class Backoff {
  readonly #options: BackoffOptions;
  #attempt = 0;

  constructor(options: BackoffOptions) {
    this.#options = options;
  }

  /** The next delay in ms. */
  next(): number {
    const { initial, max, random } = this.#options;
    const delay = Math.min(max, initial * 2 ** Math.min(this.#attempt, 30));
    this.#attempt += 1;
    return delay / 2 + (random() * delay) / 2;
  }

  /** Call after a success. */
  reset(): void {
    this.#attempt = 0;
  }
}
