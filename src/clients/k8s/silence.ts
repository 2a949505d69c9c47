/** Aborts when nothing was heard for a while: finds a dead peer on a connection that TCP still takes for alive. */
export class Silence implements Disposable {
  readonly #limit: number;
  readonly #controller = new AbortController();
  /** Aborted by the caller's signal (its reason), or after the silence (a TimeoutError). */
  readonly signal: AbortSignal;
  #timer: ReturnType<typeof setTimeout>;
  #heardAt = performance.now();

  /** `limit` in ms of real time. */
  constructor(limit: number, caller: AbortSignal) {
    this.#limit = limit;
    this.signal = AbortSignal.any([caller, this.#controller.signal]);
    this.#timer = setTimeout(() => this.#check(), limit);
  }

  heard(): void {
    this.#heardAt = performance.now();
  }

  /** The timer is not moved with every chunk: it looks how long ago the last one was. */
  #check(): void {
    const left = this.#heardAt + this.#limit - performance.now();
    if (left > 0) this.#timer = setTimeout(() => this.#check(), left);
    else this.#controller.abort(new DOMException('no answer in time', 'TimeoutError'));
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}
