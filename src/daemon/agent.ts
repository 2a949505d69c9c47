import { join, dirname } from 'node:path';
import type { Clock } from '#base/clock.ts';
import { describe, FlannelError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { Backend, ExternalInterface } from '#backend/backend.ts';
import { checkBackend, createBackend } from '#backend/create.ts';
import { FileDirectRoutes } from '#host/direct-routes.ts';
import { NetlinkKernel } from '#host/netlink-kernel.ts';
import { planOf, Reconciler, type PassReport } from '#host/reconcile.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import type { NetworkConfig } from '#subnet/config.ts';
import type { OwnRecord, SubnetManager } from '#subnet/manager.ts';
import { setUpDevices } from './devices.ts';
import { findExternalInterface, isOnLink } from './external.ts';
import type { Readiness } from './health.ts';
import { Keeper } from './keeper.ts';
import { Inbox } from './inbox.ts';
import { HostMonitor } from './monitor.ts';
import { notifySystemd } from './notify.ts';
import type { AgentOptions } from './options.ts';
import { Peers } from './peers.ts';
import { readinessOf, type ReadinessState } from './readiness.ts';
import { startRules } from './start-rules.ts';
import { settledOrAborted } from './settled.ts';
import { StatusFile } from './status-file.ts';
import { openStore, readNetworkConfig } from './store.ts';
import { SubnetFile } from './subnet-file.ts';

/**
 * The engine sizes its heap by the machine's memory, but the agent lives within 50 MiB: between large steps, when much of
 * what it made is garbage, it collects. Costs about 10 ms each with 5,000 peers.
 */
const relax = () => Bun.gc(true);

export interface AgentContext {
  readonly options: AgentOptions;
  readonly log: Logger;
  readonly clock: Clock;
  readonly random: () => number;
  readonly randomBytes: (count: number) => Uint8Array;
  /** ms without a word from the store after which the agent is not ready. */
  readonly silence: number;
}

/** How often readiness, status file and subnet file are looked at, ms. */
const TICK = 1000;

/** The agent of one node: composes store, backend, reconciler and rules. Stopping it removes nothing. */
export class Agent {
  readonly #context: AgentContext;
  readonly #state: ReadinessState = {
    starting: 'starting',
    passError: undefined,
    rulesError: undefined,
    fileError: undefined,
  };
  readonly #statusFile: StatusFile;
  #manager: SubnetManager | undefined;
  #saidReady = false;
  #statusComplaint = '';
  #foundBefore = '';

  constructor(context: AgentContext) {
    this.#context = context;
    this.#statusFile = new StatusFile(this.#runFile('status.json'));
  }

  readiness(): Readiness {
    const { clock, silence } = this.#context;
    return readinessOf(this.#state, {
      last: this.#manager?.lastContact(),
      now: clock.monotonic(),
      silence,
    });
  }

  /** Runs until `signal` is aborted. Throws only what waiting cannot mend. */
  async run(signal: AbortSignal): Promise<void> {
    const { options, log, clock, random } = this.#context;
    await using stack = new AsyncDisposableStack();
    this.#tick();
    const timer = setInterval(() => this.#tick(), TICK);
    stack.defer(() => clearInterval(timer));
    const restart = new AbortController();
    const stop = AbortSignal.any([signal, restart.signal]);
    const config = await readNetworkConfig(options.flags['net-config-path'], log);
    checkBackend(config);
    const onWait = (reason: string) => this.#waiting(reason);
    const onOwnChange = (record: OwnRecord) => restart.abort(new SubnetChanged(record));
    this.#waiting('waiting for the API server');
    const manager = await openStore({ options, log, clock, random, signal: stop, onOwnChange, onWait });
    this.#manager = manager;
    this.#waiting(`waiting for the Node of this node and its podCIDR`);
    const own = await manager.own(config, stop);
    log.info('this node', { node: own.name, ...own.subnets });
    const rtnetlink = stack.use(Rtnetlink.open());
    const external = await this.#external(config, { own, rtnetlink, signal: stop });
    await this.#serve({ config, manager, own, external, rtnetlink, stop, stack });
    if (restart.signal.aborted && !signal.aborted) throw restart.signal.reason;
  }

  async #serve(parts: ServeParts): Promise<void> {
    const { config, manager, own, external, rtnetlink, stop, stack } = parts;
    const { options, log } = this.#context;
    const backend = this.#backend(parts);
    for (const warning of backend.warnings) log.warn(warning);
    const kernel = new NetlinkKernel(rtnetlink);
    const directRoutes = new FileDirectRoutes(this.#runFile('direct-routes'));
    const reconciler = new Reconciler({ kernel, directRoutes, log, relax });
    const peers = new Peers(backend, log, relax);
    const plan = () => planOf(backend.links, peers.claims);
    let programmed = false;
    const keeper = new Keeper({
      reconciler,
      plan,
      log,
      clock: this.#context.clock,
      random: this.#context.random,
      onPass: (report) => this.#passed(report, programmed),
    });
    stack.defer(() => keeper.close());
    // The device must be there before peers hear of it.
    this.#waiting('setting up the overlay device');
    await setUpDevices({
      ...this.#context,
      setUp: () => reconciler.devices(plan()),
      signal: stop,
      onWait: (reason) => this.#waiting(reason),
    });
    this.#waiting('publishing the lease');
    await manager.publish(
      { backendType: backend.type, publicIp: external.publicIps, backendData: backend.backendData },
      stop,
    );
    const rules = startRules({
      config,
      own,
      ...options,
      log,
      onResult: (error) => (this.#state.rulesError = error),
    });
    stack.use(rules.keeper);
    await settledOrAborted(rules.started, stop);
    const subnetFile = new SubnetFile(options.flags['subnet-file'], {
      config,
      own,
      mtu: backend.mtu,
      ipMasq: options.flags['ip-masq'],
    });
    const monitor = () => this.#monitor(rtnetlink, plan, keeper);
    this.#waiting('waiting for the list of nodes');
    const first = () => {
      programmed = true;
      relax();
      keeper.pass();
      relax();
      // From here on, not before: thousands of notifications of our own first writes would only be read and dropped.
      stack.use(monitor());
      keeper.request('first look with notifications on');
      stack.defer(this.#keepFile(subnetFile));
      this.#state.starting = undefined;
      this.#tick();
      log.info('ready', { peers: peers.size, entries: peers.claims.entries.size, mtu: backend.mtu });
      void manager.announceReady(stop).catch(() => {});
    };
    const inbox = new Inbox((events) => {
      if (programmed) keeper.change(peers.take(events));
      else {
        peers.load(events);
        if (events.some((event) => event.type === 'reset')) first();
      }
    });
    stack.defer(() => inbox.close());
    await manager.watch((event) => inbox.add(event), stop);
  }

  /** Writes the subnet file and keeps it; returns what ends that. */
  #keepFile(file: SubnetFile): () => void {
    const { log } = this.#context;
    return file.keep({
      onRepair: () => log.warn('the subnet file was removed or changed; written again'),
      onResult: (error) => {
        const text = error === undefined ? undefined : describe(error);
        if (text !== undefined && text !== this.#state.fileError)
          log.error('the subnet file cannot be written; trying again', { error: text });
        this.#state.fileError = text;
      },
    });
  }

  #backend(parts: ServeParts): Backend {
    const { config, own, external, rtnetlink } = parts;
    return createBackend({
      config,
      external,
      own,
      liveMac: (name) => rtnetlink.link(name)?.mac,
      randomMac: () => this.#context.randomBytes(6),
      isOnLink: (ip) => isOnLink(rtnetlink, external.name, ip),
    });
  }

  #external(
    config: NetworkConfig,
    parts: { own: OwnRecord; rtnetlink: Rtnetlink; signal: AbortSignal },
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
      annotated: parts.own.publicIp,
      clock,
      log,
      signal: parts.signal,
      onWait: (reason) => this.#waiting(reason),
    });
  }

  #monitor(
    rtnetlink: Rtnetlink,
    plan: ConstructorParameters<typeof HostMonitor>[0]['plan'],
    keeper: Keeper,
  ): HostMonitor {
    const { log } = this.#context;
    return new HostMonitor({
      plan,
      log,
      linkNames: () => new Map(rtnetlink.links().map((link) => [link.index, link.name])),
      onSurprise: (what) => keeper.request(what),
    });
  }

  #passed(report: PassReport, programmed: boolean): void {
    const { log } = this.#context;
    this.#state.passError = report.errors[0] === undefined ? undefined : describe(report.errors[0]);
    const found = report.found.slice(0, 5).join('; ');
    // What cannot be repaired is found again by every attempt.
    const again = report.errors.length > 0 && found === this.#foundBefore;
    if (programmed && this.#state.starting === undefined && report.foundCount > 0 && !again) {
      const what = report.errors.length === 0 ? 'not as planned; repaired' : 'not as planned';
      log.warn(what, { found, count: report.foundCount });
    }
    this.#foundBefore = found;
    this.#tick();
  }

  #waiting(reason: string): void {
    if (this.#state.starting === undefined) return;
    this.#state.starting = reason;
    this.#tick();
  }

  /** Keeps what others see of readiness up to date. */
  #tick(): void {
    const { log, options } = this.#context;
    const readiness = this.readiness();
    try {
      this.#statusFile.update(readiness);
      this.#statusComplaint = '';
    } catch (error) {
      const text = describe(error);
      if (text !== this.#statusComplaint) log.warn('the status file cannot be written', { error: text });
      this.#statusComplaint = text;
    }
    if (readiness.ready && !this.#saidReady) {
      this.#saidReady = true;
      notifySystemd(options.env['NOTIFY_SOCKET'], 'READY=1');
    }
  }

  /** A file beside the subnet file: /run/flannel by default. */
  #runFile(name: string): string {
    return join(dirname(this.#context.options.flags['subnet-file']), name);
  }
}

interface ServeParts {
  readonly config: NetworkConfig;
  readonly manager: SubnetManager;
  readonly own: OwnRecord;
  readonly external: ExternalInterface;
  readonly rtnetlink: Rtnetlink;
  readonly stop: AbortSignal;
  readonly stack: AsyncDisposableStack;
}

/** The Node of this node has another podCIDR: device address and rules depend on it, so the agent starts over. */
export class SubnetChanged extends FlannelError {
  override readonly name = 'SubnetChanged';

  constructor(record: OwnRecord) {
    super('api', `the subnet of this node is now ${Object.values(record.subnets).join(', ')}`);
  }
}
