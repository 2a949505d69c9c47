import type { Clock } from '#base/clock.ts';
import { describe } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { PassReport } from '#host/pass.ts';
import type { SubnetManager } from '#subnet/manager.ts';
import type { Readiness } from './health.ts';
import { notifySystemd } from './notify.ts';
import { readinessOf, type ReadinessState } from './readiness.ts';
import type { StatusFile } from './status-file.ts';

export interface ReporterOptions {
  readonly statusFile: StatusFile;
  readonly notifySocket: string | undefined;
  readonly clock: Clock;
  readonly log: Logger;
  /** ms without a word from the store after which the agent is not ready. */
  readonly silence: number;
}

/** Knows whether the agent does its work, and tells: status file, systemd, and whoever waits for the first time. */
export class Reporter {
  readonly #options: ReporterOptions;
  readonly #state: ReadinessState = {
    starting: 'starting',
    passError: undefined,
    rulesError: undefined,
    fileError: undefined,
  };
  #store: Pick<SubnetManager, 'lastContact' | 'trouble' | 'fromMemory'> | undefined;
  #onReady: (() => void) | undefined;
  #statusComplaint = '';
  #foundBefore = '';

  constructor(options: ReporterOptions) {
    this.#options = options;
    const { notifySocket } = options;
    this.#onReady = () => notifySystemd(notifySocket, 'READY=1');
  }

  readiness(): Readiness {
    const { clock, silence } = this.#options;
    return readinessOf(this.#state, {
      last: this.#store?.lastContact(),
      now: clock.monotonic(),
      silence,
      trouble: this.#store?.trouble?.(),
      fromMemory: this.#store?.fromMemory?.() ?? false,
    });
  }

  /** Where the state of the store can be asked for. */
  follow(store: Pick<SubnetManager, 'lastContact' | 'trouble' | 'fromMemory'>): void {
    this.#store = store;
  }

  /** Called once, when the agent is ready for the first time, after what was to be called before. */
  whenReady(call: () => void): void {
    const before = this.#onReady;
    this.#onReady = () => {
      before?.();
      call();
    };
  }

  /** What the agent is waiting for; without effect once it has started. */
  waiting(reason: string): void {
    if (this.#state.starting === undefined) return;
    this.#state.starting = reason;
    this.tick();
  }

  /** From now on it is errors and silence that decide. */
  started(): void {
    this.#state.starting = undefined;
    this.tick();
  }

  /** The outcome of a full pass; `expected` when it was bound to find much: the first one. */
  passed(report: PassReport, expected: boolean): void {
    this.#state.passError = report.errors[0] === undefined ? undefined : describe(report.errors[0]);
    const found = report.found.slice(0, 5).join('; ');
    // What cannot be repaired is found again by every attempt.
    const again = report.errors.length > 0 && found === this.#foundBefore;
    if (!expected && this.#state.starting === undefined && report.foundCount > 0 && !again) {
      const what = report.errors.length === 0 ? 'not as planned; repaired' : 'not as planned';
      this.#options.log.warn(what, { found, count: report.foundCount });
    }
    this.#foundBefore = found;
    this.tick();
  }

  rules(error: string | undefined): void {
    this.#state.rulesError = error;
  }

  /** The outcome of an attempt to write the subnet file. */
  file(error: unknown): void {
    const text = error === undefined ? undefined : describe(error);
    if (text !== undefined && text !== this.#state.fileError) {
      this.#options.log.error('the subnet file cannot be written; trying again', { error: text });
    }
    this.#state.fileError = text;
  }

  /** Keeps what others see of readiness up to date. */
  tick(): void {
    const { log, statusFile } = this.#options;
    const readiness = this.readiness();
    try {
      statusFile.update(readiness);
      this.#statusComplaint = '';
    } catch (error) {
      const text = describe(error);
      if (text !== this.#statusComplaint) log.warn('the status file cannot be written', { error: text });
      this.#statusComplaint = text;
    }
    if (!readiness.ready) return;
    const call = this.#onReady;
    this.#onReady = undefined;
    call?.();
  }
}
