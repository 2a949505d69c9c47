/** Answers kept at once; the oldest goes first. */
const KEPT = 64;

/**
 * Answers that many askers share: one is being made at a time per key, and holds for a while after it is there, so that fifty open
 * pages cost as much as one. Failures are shared, too.
 */
export class Shared<T> {
  readonly #holds: number;
  readonly #now: () => number;
  readonly #answers = new Map<string, { readonly answer: Promise<T>; until: number }>();

  /** `holds`: ms; `now`: ms of a clock that never goes back. */
  constructor(holds: number, now: () => number) {
    this.#holds = holds;
    this.#now = now;
  }

  get(key: string, make: () => Promise<T>): Promise<T> {
    const known = this.#answers.get(key);
    if (known !== undefined && this.#now() < known.until) return known.answer;
    const made = { answer: Promise.resolve().then(make), until: Number.POSITIVE_INFINITY };
    this.#answers.delete(key);
    this.#answers.set(key, made);
    const settle = () => {
      made.until = this.#now() + this.#holds;
    };
    made.answer.then(settle, settle);
    const [oldest] = this.#answers.keys();
    if (this.#answers.size > KEPT && oldest !== undefined) this.#answers.delete(oldest);
    return made.answer;
  }
}

/** Lets through so many a second, and so many at once after a pause. */
export class Rate {
  readonly #perSecond: number;
  readonly #burst: number;
  readonly #now: () => number;
  #left: number;
  #at: number;

  constructor(perSecond: number, burst: number, now: () => number) {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#now = now;
    this.#left = burst;
    this.#at = now();
  }

  /** False: not now. */
  take(): boolean {
    const now = this.#now();
    this.#left = Math.min(this.#burst, this.#left + ((now - this.#at) / 1000) * this.#perSecond);
    this.#at = now;
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}
