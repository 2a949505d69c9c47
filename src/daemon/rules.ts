import { cureOf, describe } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { Traffic } from '#traffic/create.ts';
import type { RuleSet } from '#traffic/rules.ts';

export interface RulesOptions {
  readonly traffic: Traffic;
  readonly rules: RuleSet;
  /** ms between checks (`--iptables-resync`). */
  readonly period: number;
  readonly log: Logger;
  /** ms between looks at the chains of others; default 60,000. There may be tens of thousands. */
  readonly dropsPeriod?: number;
  /**
   * Told after every check: an error, or undefined when the rules are in place, and how many differences that somebody else had
   * made were put right.
   */
  readonly onResult: (error: string | undefined, repaired: number) => void;
}

/** Rules that could not be written are tried again after at most this long, ms. */
const RETRY = 5000;

/** When somebody undoes our repairs again and again, the answer to his notices is delayed, more each time, ms. */
const SETTLE = 20;
const SETTLE_MAX = 800;
/** After so long without a repair the next one is quick again, ms. */
const QUIET = 5000;

const DROPS_PERIOD = 60_000;

/** Keeps the traffic rules as they should be: at start, on notice of a change, and every period. */
export class RulesKeeper implements AsyncDisposable {
  readonly #options: RulesOptions;
  readonly #abort = new AbortController();
  #watch: Disposable | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #notice: ReturnType<typeof setTimeout> | undefined;
  #running: Promise<void> | undefined;
  #again = false;
  #started = false;
  #lastError = '';
  #drops = '';
  #dropsAt = Number.NEGATIVE_INFINITY;
  /** Repairs in close sequence, after the first. */
  #repeats = 0;
  #repairedAt = Number.NEGATIVE_INFINITY;

  constructor(options: RulesOptions) {
    this.#options = options;
  }

  /** Removes the other mode's rules, writes ours, and from then on keeps them. Errors are logged and tried again. */
  async start(): Promise<void> {
    const { traffic, log } = this.#options;
    try {
      const { removed } = await traffic.clearOther(this.#abort.signal);
      if (removed.length > 0)
        log.info('removed the rules of the other mode', { removed: removed.join(', ') });
    } catch (error) {
      log.warn('the rules of the other mode may still be there', { error: describe(error) });
    }
    try {
      this.#watch = traffic.backend.watch?.(() => this.#noticed());
    } catch (error) {
      log.warn('changes of the rules are noticed only by the periodic check', { error: describe(error) });
    }
    await this.check();
  }

  /** One check, never two at a time; a call during one makes another follow. */
  check(): Promise<void> {
    if (this.#running !== undefined) {
      this.#again = true;
      return this.#running;
    }
    // Not at once: notice of our own writing may come while the first check is still on its way to its first wait.
    this.#running = Promise.resolve()
      .then(() => this.#checkAll())
      .finally(() => {
        this.#running = undefined;
      });
    return this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort(new Error('the agent stops'));
    clearTimeout(this.#timer);
    clearTimeout(this.#notice);
    this.#watch?.[Symbol.dispose]();
    await this.#running;
    await this.#options.traffic.backend[Symbol.asyncDispose]();
  }

  async #checkAll(): Promise<void> {
    do {
      this.#again = false;
      await this.#once();
    } while (this.#again && !this.#abort.signal.aborted);
    clearTimeout(this.#timer);
    const { period } = this.#options;
    const wait = this.#lastError === '' ? period : Math.min(period, RETRY);
    if (!this.#abort.signal.aborted) this.#timer = setTimeout(() => void this.check(), wait);
  }

  /** Somebody, perhaps we, has touched the rules. */
  #noticed(): void {
    if (performance.now() - this.#repairedAt > QUIET) this.#repeats = 0;
    if (this.#repeats === 0) {
      void this.check();
      return;
    }
    const wait = Math.min(SETTLE_MAX, SETTLE * 2 ** this.#repeats);
    this.#notice ??= setTimeout(() => {
      this.#notice = undefined;
      void this.check();
    }, wait);
  }

  async #once(): Promise<void> {
    const { traffic, rules } = this.#options;
    try {
      const { changed, repaired, failure } = await traffic.backend.ensure(rules, this.#abort.signal);
      const count = changed ? this.#noteChange(repaired) : 0;
      if (failure !== undefined) {
        this.#fail(failure, count);
        return;
      }
      this.#started = true;
      this.#lastError = '';
      this.#warnOfDrops();
      this.#options.onResult(undefined, count);
    } catch (error) {
      if (!this.#abort.signal.aborted) this.#fail(error, 0);
    }
  }

  /** Says once, and when it changes, who drops what we accept. */
  #warnOfDrops(): void {
    const { traffic, rules, log, dropsPeriod = DROPS_PERIOD } = this.#options;
    const now = performance.now();
    if (now - this.#dropsAt < dropsPeriod) return;
    this.#dropsAt = now;
    const found = traffic.backend.drops?.(rules).join(', ') ?? '';
    if (found !== this.#drops && found !== '') {
      log.warn('forwarded packets of pods are dropped unless this firewall accepts them itself', {
        found,
        cure: 'accept the pod network there, or set its policy to accept',
      });
    }
    this.#drops = found;
  }

  /** Says what was written; returns how much of it was a repair. */
  #noteChange(repaired: readonly string[]): number {
    const { traffic, log } = this.#options;
    if (!this.#started) {
      const { mode, program } = traffic.backend;
      log.info('traffic rules written', { mode, ...(program === undefined ? {} : { program }) });
      return 0;
    }
    const found = repaired.slice(0, 10).join('; ');
    log.warn('traffic rules were changed by somebody else; put back', { found });
    const now = performance.now();
    this.#repeats = now - this.#repairedAt > QUIET ? 0 : this.#repeats + 1;
    this.#repairedAt = now;
    return repaired.length;
  }

  #fail(error: unknown, repaired: number): void {
    const { log, onResult } = this.#options;
    const text = describe(error);
    const cure = cureOf(error);
    if (text !== this.#lastError) {
      log.error('traffic rules cannot be written; trying again', {
        error: text,
        ...(cure === undefined ? {} : { cure }),
      });
    }
    this.#lastError = text;
    onResult(text, repaired);
  }
}
