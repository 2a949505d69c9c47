/** Silence that nobody minds, and then how often something is said, ms. */
const PATIENCE = 1500;

/** Says what is still being looked at, when that takes long. */
export class Progress implements Disposable {
  readonly #timer: ReturnType<typeof setInterval>;
  #pending: readonly string[] = [];

  constructor(say: (line: string) => void, every: number = PATIENCE) {
    this.#timer = setInterval(() => {
      if (this.#pending.length > 0) say(`still looking at ${this.#pending.join(', ')} ...`);
    }, every);
  }

  update(pending: readonly string[]): void {
    this.#pending = pending;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
