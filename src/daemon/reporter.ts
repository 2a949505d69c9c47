import type { Clock } from '#base/clock.ts';
import { describe } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { Sample } from '#base/metrics.ts';
import type { HostPlan } from '#host/plan.ts';
import type { PassReport } from '#host/pass.ts';
import type { SubnetManager } from '#subnet/manager.ts';
import type { StoreObserver } from '#subnet/observer.ts';
import type { Readiness } from './health.ts';
import { overlayOf, type OverlayParts } from './inspect/overlay.ts';
import type { OverlaySource } from './inspect/overlay-text.ts';
import type { AgentMetrics, RepairKind, RunView } from './metrics/agent.ts';
import { capacitySamples, plannedSamples, reservedSamples } from './metrics/run-view.ts';
import type { PeersSummary } from './peers-summary.ts';
import { readinessOf, type ReadinessState } from './readiness.ts';
import { Repairs } from './repairs.ts';
import { statusOf, time, type LastPass, type NodeFacts, type Repair } from './status.ts';
import type { StatusFile } from './status-file.ts';
import type { Systemd } from './systemd.ts';

export interface ReporterOptions {
  readonly statusFile: StatusFile;
  readonly systemd: Pick<Systemd, 'ready' | 'status'>;
  readonly metrics: AgentMetrics;
  readonly clock: Clock;
  readonly log: Logger;
  /** ms without a word from the store after which the agent is not ready. */
  readonly silence: number;
  /** host-local's folder; empty: unknown. */
  readonly ipamDir: string;
  /** How many repairs are remembered at most; those that the status names by default. */
  readonly remembered?: number;
}

/** How many repairs the status names. */
const NAMED = 20;

/** What can be asked of a run once it knows its subnet and its external interface. */
export interface RunParts {
  readonly facts: NodeFacts;
  readonly peers: () => PeersSummary;
  readonly plan: () => HostPlan;
  /** True when full passes do not come when they should. */
  readonly stalled: () => boolean;
  readonly overlay: () => OverlayParts;
}

/** Knows whether the agent does its work, and tells: status file, metrics, systemd, and whoever waits for the first time. */
export class Reporter implements RunView {
  readonly #options: ReporterOptions;
  readonly #repairs: Repairs;
  readonly #startedAt: number;
  readonly #state: ReadinessState = {
    starting: 'starting',
    passError: undefined,
    rulesError: undefined,
    fileError: undefined,
  };
  #store: Pick<SubnetManager, 'lastContact' | 'trouble' | 'fromMemory'> | undefined;
  #run: RunParts | undefined;
  #pass: LastPass | undefined;
  #rules: { readonly error: string | undefined } | undefined;
  #onServing: (() => void) | undefined;
  #onReady: (() => void) | undefined;
  #statusComplaint = '';
  #foundBefore = '';

  constructor(options: ReporterOptions) {
    const { metrics, clock, systemd, remembered = NAMED } = options;
    this.#options = options;
    this.#repairs = new Repairs(metrics, clock, remembered);
    this.#startedAt = clock.now();
    // Units behind this one need a node that can run pods; they must not wait for an API server that may need them.
    this.#onServing = () => systemd.ready();
    metrics.follow(this);
  }

  readiness(): Readiness {
    const { clock, silence } = this.#options;
    return readinessOf(this.#state, {
      last: this.#store?.lastContact(),
      now: clock.monotonic(),
      silence,
      trouble: this.#store?.trouble?.(),
      fromMemory: this.fromMemory,
    });
  }

  get ready(): boolean {
    return this.readiness().ready;
  }

  get fromMemory(): boolean {
    return this.#store?.fromMemory?.() ?? false;
  }

  /** Where the state of the store can be asked for. */
  follow(store: Pick<SubnetManager, 'lastContact' | 'trouble' | 'fromMemory'>): void {
    this.#store = store;
  }

  /** Where the rest can be asked for. */
  serve(run: RunParts): void {
    this.#run = run;
  }

  /** What the store tells to be counted. */
  get observer(): StoreObserver {
    const { metrics } = this.#options;
    return {
      listed: () => metrics.listed(),
      watchEnded: (why) => metrics.watchEnded(why),
      published: () => metrics.published(),
      leaseRepaired: (keys) => this.repaired('lease', keys.length, `changed: ${keys.join(', ')}`),
      failed: (error) => metrics.failed(error),
    };
  }

  /** Called once, when the agent is ready for the first time. */
  whenReady(call: () => void): void {
    this.#onReady = call;
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

  /** The outcome of a full pass that took `ms`; `expected` when it was bound to find much: the first one. */
  passed(report: PassReport, { ms, expected }: { readonly ms: number; readonly expected: boolean }): void {
    const { metrics, clock, log } = this.#options;
    metrics.passed(report, ms / 1000);
    this.#pass = { at: clock.now(), ms, report };
    this.#state.passError = report.blocking === undefined ? undefined : describe(report.blocking);
    const found = report.found.slice(0, 5).join('; ');
    // What cannot be repaired is found again by every attempt.
    const again = report.errors.length > 0 && found === this.#foundBefore;
    if (!expected && this.#state.starting === undefined && report.foundCount > 0) {
      const what = report.errors.length === 0 ? 'not as planned; repaired' : 'not as planned';
      if (!again) log.warn(what, { found, count: report.foundCount });
      this.#repairs.note(report.mended, found);
    }
    this.#foundBefore = found;
    this.tick();
  }

  /** What else somebody had changed; it is as it should be again. */
  repaired(kind: RepairKind, count: number, what: string): void {
    this.#repairs.note(new Map([[kind, count]]), what);
  }

  /** The outcome of a check of the traffic rules. */
  rules(error: string | undefined, repaired: number): void {
    this.#options.metrics.rulesChecked(error !== undefined, repaired);
    this.#state.rulesError = error;
    this.#rules = { error };
    if (repaired > 0) this.repaired('rules', repaired, 'traffic rules');
  }

  /** The outcome of an attempt to write the subnet file. */
  file(error: unknown): void {
    const text = error === undefined ? undefined : describe(error);
    if (text !== undefined && text !== this.#state.fileError) {
      this.#options.log.error('the subnet file cannot be written; trying again', { error: text });
      this.#options.metrics.failed(error);
    }
    this.#state.fileError = text;
  }

  peers(): PeersSummary | undefined {
    return this.#run?.peers();
  }

  planned(): Iterable<Sample> {
    return this.#run === undefined ? [] : plannedSamples(this.#run.plan());
  }

  contactAge(): number | undefined {
    const last = this.#store?.lastContact();
    return last === undefined ? undefined : (this.#options.clock.monotonic() - last) / 1000;
  }

  addresses(): Iterable<Sample> {
    return capacitySamples(this.#run?.facts.own.subnets ?? {});
  }

  addressesUsed(): Iterable<Sample> {
    return reservedSamples(this.#run?.facts.own.subnets ?? {}, this.#options.ipamDir);
  }

  /** False when the reconciler does not get on. */
  get alive(): boolean {
    return this.#run?.stalled() !== true;
  }

  overlay(): OverlaySource | undefined {
    const parts = this.overlayParts();
    return parts && overlayOf(parts);
  }

  overlayParts(): OverlayParts | undefined {
    return this.#run?.overlay();
  }

  /** All that are remembered, the newest last. */
  get repairs(): readonly Repair[] {
    return this.#repairs.last;
  }

  /** As the status file, up to this moment. */
  status(): Record<string, unknown> {
    const now = time(this.#options.clock.now());
    return { ...this.#status(this.readiness(), this.peers()), ...this.#passing(), writtenAt: now };
  }

  #status(readiness: Readiness, peers: PeersSummary | undefined): Record<string, unknown> {
    return statusOf({
      readiness,
      startedAt: this.#startedAt,
      facts: this.#run?.facts,
      peers,
      pass: this.#pass,
      repairs: this.repairs.slice(-NAMED),
      rules: this.#rules,
      store: { fromMemory: this.fromMemory, trouble: this.#store?.trouble?.() },
    });
  }

  /** What passes by itself. */
  #passing(): Record<string, unknown> {
    const age = this.contactAge();
    return age === undefined ? {} : { lastContact: time(this.#options.clock.now() - age * 1000) };
  }

  /** Keeps what others see of readiness up to date. */
  tick(): void {
    const readiness = this.readiness();
    const peers = this.peers();
    this.#write(JSON.stringify(readiness), this.#status(readiness, peers));
    const { systemd } = this.#options;
    systemd.status(readiness.ready ? `ready, ${peers?.programmed ?? 0} peers` : readiness.reason);
    if (readiness.ready || readiness.serving === true) {
      this.#onServing?.();
      this.#onServing = undefined;
    }
    if (!readiness.ready) return;
    const call = this.#onReady;
    this.#onReady = undefined;
    call?.();
  }

  #write(urgent: string, status: Record<string, unknown>): void {
    const { log, statusFile, metrics } = this.#options;
    try {
      statusFile.update({ urgent, status, passing: this.#passing() });
      this.#statusComplaint = '';
    } catch (error) {
      const text = describe(error);
      if (text !== this.#statusComplaint) {
        log.warn('the status file cannot be written', { error: text });
        metrics.failed(error);
      }
      this.#statusComplaint = text;
    }
  }
}
