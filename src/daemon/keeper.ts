import { Backoff } from '#base/backoff.ts';
import type { Clock } from '#base/clock.ts';
import { cureOf, describe, hasErrno, type FlannelError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { EntryChange } from '#host/claims.ts';
import type { PassReport } from '#host/pass.ts';
import type { HostPlan } from '#host/plan.ts';
import type { Reconciler } from '#host/reconcile.ts';

export interface KeeperOptions {
  readonly reconciler: Reconciler;
  readonly plan: () => HostPlan;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  /** Called after every full pass with its duration, ms. */
  readonly onPass: (report: PassReport, ms: number) => void;
  /** Called when the kernel refused a peer's change. */
  readonly onRefusal?: (errors: readonly FlannelError[]) => void;
}

/** Wait for more notifications of the same event before the pass, ms. */
const SETTLE = 30;
/** Longest such wait, ms: when somebody else undoes our repairs, the two must not fight hot. */
const SETTLE_MAX = 1000;
/** After so long without a repair the next one is quick again, ms. */
const QUIET = 5000;
/** A full pass without cause: at least this often, ms, and at most this share of the time. */
const PERIOD = 30_000;
const SHARE = 0.005;
/** A pass that is late by so much does not come any more, ms. */
const STALLED = 30_000;

/** Decides when a full pass runs: on request (shortly after, once for many), after a failure, and now and then. */
export class Keeper {
  readonly #options: KeeperOptions;
  readonly #backoff: Backoff;
  #wake: AbortController | undefined;
  #due = Number.POSITIVE_INFINITY;
  #reasons = new Set<string>();
  #closed = false;
  /** How often the same had to be repaired in close sequence, after the first time. */
  #repeats = 0;
  #repaired = '';
  #repairedAt = Number.NEGATIVE_INFINITY;
  #lastError = '';
  /** All that went wrong last was that a device was not there. */
  #vanished = false;

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#backoff = new Backoff({ initial: 500, max: 15_000, random: options.random });
  }

  /** Something is not as planned: look soon. Many calls make one pass. */
  request(reason: string): void {
    if (this.#reasons.size < 8) this.#reasons.add(reason);
    const { clock } = this.#options;
    const again = clock.monotonic() - this.#repairedAt > QUIET ? 0 : this.#repeats;
    this.#schedule(Math.min(SETTLE_MAX, SETTLE * 2 ** Math.min(again, 10)));
  }

  /** Runs a full pass now. */
  pass(): PassReport {
    const { reconciler, clock, log, plan, onPass } = this.#options;
    this.#wake?.abort();
    this.#due = Number.POSITIVE_INFINITY;
    const reasons = [...this.#reasons];
    this.#reasons.clear();
    const start = clock.monotonic();
    const report = reconciler.full(plan());
    const took = clock.monotonic() - start;
    log.debug('full pass', {
      ms: Math.round(took),
      found: report.foundCount,
      written: report.written,
      reason: reasons.join('; '),
    });
    this.#noteRepair(report);
    this.#complain(report.errors);
    onPass(report, took);
    if (report.errors.length > 0) this.#schedule(this.#backoff.next());
    else {
      this.#backoff.reset();
      this.#schedule(Math.max(PERIOD, took / SHARE));
    }
    return report;
  }

  /** Writes one change of peers; what the kernel refuses is looked at by a full pass. */
  change(change: EntryChange): void {
    if (change.put.length + change.remove.length === 0) return;
    const errors = this.#options.reconciler.change(this.#options.plan(), change);
    const [first] = errors;
    if (first === undefined) return;
    this.#options.onRefusal?.(errors);
    this.#complain(errors);
    this.#reasons.add('a change was refused');
    this.#schedule(this.#backoff.next());
  }

  /** True when a pass should long have begun: something here is stuck. */
  get stalled(): boolean {
    return !this.#closed && this.#options.clock.monotonic() > this.#due + STALLED;
  }

  close(): void {
    this.#closed = true;
    this.#wake?.abort();
  }

  #noteRepair(report: PassReport): void {
    if (report.foundCount === 0) return;
    const found = report.found.join('; ');
    const now = this.#options.clock.monotonic();
    const soon = now - this.#repairedAt <= QUIET;
    this.#repeats = soon && found === this.#repaired ? this.#repeats + 1 : 0;
    this.#repaired = found;
    this.#repairedAt = now;
  }

  #complain(errors: readonly Error[]): void {
    const [first] = errors;
    const text = first === undefined ? '' : describe(first);
    // A device that somebody deletes while a pass is on its way is nothing yet: the next pass makes it anew.
    const vanished = first !== undefined && errors.every((error) => hasErrno(error, 'ENODEV'));
    const again = this.#vanished;
    this.#vanished = vanished;
    if (vanished && !again) return;
    if (first !== undefined && text !== this.#lastError) {
      const cure = cureOf(first);
      this.#options.log.error('the kernel refuses a change; trying again', {
        error: text,
        ...(errors.length > 1 ? { others: errors.length - 1 } : {}),
        ...(cure === undefined ? {} : { cure }),
      });
    }
    this.#lastError = text;
  }

  #schedule(ms: number): void {
    if (this.#closed) return;
    const { clock } = this.#options;
    const due = clock.monotonic() + ms;
    if (due >= this.#due) return;
    this.#due = due;
    this.#wake?.abort();
    const wake = new AbortController();
    this.#wake = wake;
    // Rejects only when something else came first.
    void clock.sleep(ms, wake.signal).then(
      () => {
        if (!this.#closed) this.pass();
      },
      () => {},
    );
  }
}
