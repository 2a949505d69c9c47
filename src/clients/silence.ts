/**
 * Aborts when nothing was heard for a while, or when it takes too long in all: finds a dead peer on a connection that TCP
 * still takes for alive, and one that sends a byte now and then.
 */
export class Silence implements Disposable {
  readonly #limit: number;
  /** When it must be over. */
  readonly #end: number;
  readonly #controller = new AbortController();
  /** Aborted by the caller's signal (its reason), or after the silence (a TimeoutError). */
  readonly signal: AbortSignal;
  #timer: ReturnType<typeof setTimeout>;
  #heardAt = performance.now();

  /** `limit` for a silence and `total` for everything, in ms of real time. */
  constructor(limit: number, caller: AbortSignal, total = Number.POSITIVE_INFINITY) {
    this.#limit = limit;
    this.#end = this.#heardAt + total;
    this.signal = AbortSignal.any([caller, this.#controller.signal]);
    this.#timer = setTimeout(() => this.#check(), this.#left());
  }

  heard(): void {
    this.#heardAt = performance.now();
  }

  /** The timer is not moved with every chunk: it looks how long ago the last one was. */
  #check(): void {
    const left = this.#left();
    if (left > 0) this.#timer = setTimeout(() => this.#check(), left);
    else this.#controller.abort(new DOMException('no answer in time', 'TimeoutError'));
  }

  #left(): number {
    return Math.min(this.#heardAt + this.#limit, this.#end) - performance.now();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}
