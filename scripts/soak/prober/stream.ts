import { epoch, type LossRun, type ProbePair } from './protocol.ts';

/** Questions of one pair that wait for their answers. */
export class Stream {
  readonly pair: ProbePair;
  readonly #waiting = new Map<number, { readonly at: number; readonly tick: number }>();
  #number = 0;
  #losses: { pair: string; first: number; last: number; count: number }[] = [];
  #lastLost = -1;

  constructor(pair: ProbePair) {
    this.pair = pair;
  }

  /** The number of a question that is sent now, at the prober's `tick`. */
  send(tick: number): number {
    this.#number += 1;
    this.#waiting.set(this.#number, { at: epoch(), tick });
    return this.#number;
  }

  /** True for an answer that was waited for. */
  answered(number: number): boolean {
    return this.#waiting.delete(number);
  }

  /**
   * Gives up what was sent at `tick` or before. Ticks, not time: while the machine holds this process up, nobody sends and
   * nobody reads, and nothing is lost.
   */
  judge(tick: number): void {
    for (const [number, sent] of this.#waiting) {
      if (sent.tick > tick) return;
      this.#waiting.delete(number);
      this.#lose(number, sent.at);
    }
  }

  takeLosses(): LossRun[] {
    const losses = this.#losses;
    this.#losses = [];
    this.#lastLost = -1;
    return losses;
  }

  #lose(number: number, at: number): void {
    const run = this.#losses.at(-1);
    if (run !== undefined && number === this.#lastLost + 1) {
      run.last = at;
      run.count += 1;
    } else this.#losses.push({ pair: this.pair.id, first: at, last: at, count: 1 });
    this.#lastLost = number;
  }
}
