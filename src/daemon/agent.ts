import type { Clock } from '#base/clock.ts';
import { describe, FlannelError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { ExternalInterface } from '#backend/backend.ts';
import { checkBackend } from '#backend/create.ts';
import type { Ip } from '#net/ip.ts';
import type { CountedRequest } from '#clients/k8s/transport.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import type { NetworkConfig } from '#subnet/config.ts';
import type { PerFamily } from '#subnet/lease.ts';
import type { OwnRecord } from '#subnet/manager.ts';
import { draftAttributes } from './backend-context.ts';
import { openEtcdStore } from './etcd-store.ts';
import { findExternalInterface } from './external.ts';
import type { Readiness } from './health.ts';
import type { InspectSources } from './inspect/socket.ts';
import type { AgentMetrics } from './metrics/agent.ts';
import { runFile, type AgentOptions } from './options.ts';
import type { AgentView } from './page/agent-answers.ts';
import { Reporter } from './reporter.ts';
import { keepReservations } from './reservations.ts';
import { Serving } from './serving.ts';
import { StatusFile } from './status-file.ts';
import { openStore } from './store.ts';
import type { Systemd } from './systemd.ts';

export interface AgentContext {
  readonly options: AgentOptions;
  readonly log: Logger;
  readonly clock: Clock;
  readonly random: () => number;
  readonly randomBytes: (count: number) => Uint8Array;
  /** ms without a word from the store after which the agent is not ready. */
  readonly silence: number;
  /** How long the store may take to answer before the last known state is gone on with, ms. */
  readonly patience: number;
  /** Least time between two writes of the last known state, ms. */
  readonly saveEvery: number;
  readonly metrics: AgentMetrics;
  readonly systemd: Pick<Systemd, 'ready' | 'status'>;
}

/** How often readiness, status file and subnet file are looked at, ms. */
const TICK = 1000;

/** How many repairs are remembered for a page: at most 100 KB. */
const REMEMBERED = 200;

/** The agent of one node: composes store, backend, reconciler and rules. Stopping it removes nothing. */
export class Agent {
  readonly #context: AgentContext;
  readonly #reporter: Reporter;

  constructor(context: AgentContext) {
    const { options, clock } = context;
    this.#context = context;
    this.#reporter = new Reporter({
      ...context,
      statusFile: new StatusFile(runFile(options, 'status.json'), clock),
      ipamDir: options.flags['ipam-dir'],
      ...(options.flags['ui-addr'] === '' ? {} : { remembered: REMEMBERED }),
    });
  }

  readiness(): Readiness {
    return this.#reporter.readiness();
  }

  /** What it can be asked; see `InspectSocket`. */
  get sources(): InspectSources {
    return { status: () => this.#reporter.status(), overlay: () => this.#reporter.overlay() };
  }

  /** What the page asks besides. */
  get view(): AgentView {
    const reporter = this.#reporter;
    return {
      status: () => reporter.status(),
      repairs: () => reporter.repairs,
      overlayParts: () => reporter.overlayParts(),
    };
  }

  /** False when the agent runs but does not get on. */
  get alive(): boolean {
    return this.#reporter.alive;
  }

  /** Runs until `signal` is aborted. Throws only what waiting cannot mend; the status file then says what that was. */
  async run(signal: AbortSignal): Promise<void> {
    this.#reporter.tick();
    try {
      await this.#run(signal);
    } catch (error) {
      if (!signal.aborted) this.#reporter.waiting(describe(error));
      throw error;
    }
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { options, log, metrics } = this.#context;
    await using stack = new AsyncDisposableStack();
    const reporter = this.#reporter;
    const timer = setInterval(() => reporter.tick(), TICK);
    stack.defer(() => clearInterval(timer));
    const restart = new AbortController();
    const stop = AbortSignal.any([signal, restart.signal]);
    // Ends with `stop`, and never fails.
    const onFreed = (count: number) => metrics.freed(count);
    void keepReservations({ ...this.#context, dir: options.flags['ipam-dir'], signal: stop, onFreed });
    const onWait = (reason: string) => reporter.waiting(reason);
    const startOver = (reason: string) => restart.abort(new StartOver(reason));
    const onOwnChange = (record: OwnRecord) =>
      startOver(`the subnet is now ${Object.values(record.subnets).join(', ')}`);
    const rtnetlink = stack.use(Rtnetlink.open());
    const hooks = { startOver, onOwnChange, onWait, observer: reporter.observer };
    const onRequest = (request: CountedRequest) => metrics.requested(request);
    const context = { ...this.#context, signal: stop, ...hooks, onRequest };
    const { config, manager } = options.flags['kube-subnet-mgr']
      ? await openStore(context)
      : await openEtcdStore({
          ...context,
          findExternal: (known) => this.#external(known, { annotated: {}, rtnetlink, signal: stop }),
          draft: (parts) => draftAttributes({ ...this.#context, ...parts, rtnetlink }),
          onConfigChange: () => startOver('the configuration in etcd has changed'),
        });
    for (const warning of checkBackend(config)) log.warn(warning);
    reporter.follow(manager);
    reporter.waiting('waiting for the subnet of this node');
    const own = await manager.own(config, stop);
    log.info('this node', { node: own.name, ...own.subnets });
    const external = await this.#external(config, { annotated: own.publicIp, rtnetlink, signal: stop });
    const found = { config, manager, own, external, rtnetlink };
    await new Serving({ ...this.#context, ...found, reporter, stop, stack, startOver }).run();
    if (restart.signal.aborted && !signal.aborted) throw restart.signal.reason;
  }

  #external(
    config: NetworkConfig,
    parts: { annotated: PerFamily<Ip>; rtnetlink: Rtnetlink; signal: AbortSignal },
  ): Promise<ExternalInterface> {
    const { options, clock, log } = this.#context;
    const { flags } = options;
    return findExternalInterface({
      rtnetlink: parts.rtnetlink,
      choice: {
        families: config.families,
        iface: flags.iface,
        ifaceRegex: flags['iface-regex'],
        canReach: flags['iface-can-reach'],
      },
      publicIp: { ipv4: flags['public-ip'], ipv6: flags['public-ipv6'] },
      annotated: parts.annotated,
      clock,
      log,
      signal: parts.signal,
      onWait: (reason) => this.#reporter.waiting(reason),
    });
  }
}

/** The subnet of this node or its external interface is another: device, rules and lease depend on it. */
export class StartOver extends FlannelError {
  override readonly name = 'StartOver';

  constructor(reason: string) {
    super('operator', reason);
  }
}
