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
import { ExternalWatch } from './external-watch.ts';
import { findExternalInterface, isOnLink } from './external.ts';
import type { Readiness } from './health.ts';
import { Keeper } from './keeper.ts';
import { Inbox } from './inbox.ts';
import { HostMonitor } from './monitor.ts';
import type { AgentOptions } from './options.ts';
import { Peers } from './peers.ts';
import { Reporter } from './reporter.ts';
import { startRules } from './start-rules.ts';
import { settledOrAborted } from './settled.ts';
import { StatusFile } from './status-file.ts';
import { openStore, readNetworkConfig } from './store.ts';
import { SubnetFile, type SubnetFileContent } from './subnet-file.ts';

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
  readonly #reporter: Reporter;

  constructor(context: AgentContext) {
    const { options, clock, log, silence } = context;
    this.#context = context;
    this.#reporter = new Reporter({
      statusFile: new StatusFile(this.#runFile('status.json')),
      notifySocket: options.env['NOTIFY_SOCKET'],
      clock,
      log,
      silence,
    });
  }

  readiness(): Readiness {
    return this.#reporter.readiness();
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
    const { options, log, clock, random } = this.#context;
    const config = await readNetworkConfig(options.flags['net-config-path'], log);
    for (const warning of checkBackend(config)) log.warn(warning);
    await using stack = new AsyncDisposableStack();
    const reporter = this.#reporter;
    const timer = setInterval(() => reporter.tick(), TICK);
    stack.defer(() => clearInterval(timer));
    const restart = new AbortController();
    const stop = AbortSignal.any([signal, restart.signal]);
    const onWait = (reason: string) => reporter.waiting(reason);
    const startOver = (reason: string) => restart.abort(new StartOver(reason));
    const onOwnChange = (record: OwnRecord) =>
      startOver(`the subnet is now ${Object.values(record.subnets).join(', ')}`);
    reporter.waiting('waiting for the API server');
    const manager = await openStore({ options, log, clock, random, signal: stop, onOwnChange, onWait });
    reporter.follow(manager);
    reporter.waiting(`waiting for the Node of this node and its podCIDR`);
    const own = await manager.own(config, stop);
    log.info('this node', { node: own.name, ...own.subnets });
    const rtnetlink = stack.use(Rtnetlink.open());
    const external = await this.#external(config, { own, rtnetlink, signal: stop });
    await this.#serve({ config, manager, own, external, rtnetlink, stop, stack, startOver });
    if (restart.signal.aborted && !signal.aborted) throw restart.signal.reason;
  }

  async #serve(parts: ServeParts): Promise<void> {
    const { config, manager, own, external, rtnetlink, stop, stack, startOver } = parts;
    const { options, log } = this.#context;
    const reporter = this.#reporter;
    const backend = this.#backend(parts);
    const kernel = new NetlinkKernel(rtnetlink);
    const directRoutes = new FileDirectRoutes(this.#runFile('direct-routes'));
    const reconciler = new Reconciler({ kernel, directRoutes, log, relax });
    const peers = new Peers(backend, log, relax);
    const { links } = backend;
    const blackholes = options.flags['ip-blackhole-route'] ? Object.values(own.subnets) : [];
    const plan = () => planOf({ links, blackholes }, peers.claims);
    let programmed = false;
    const onPass = (report: PassReport) => reporter.passed(report, !programmed);
    const keeper = new Keeper({ ...this.#context, reconciler, plan, onPass });
    stack.defer(() => keeper.close());
    // The device must be there before peers hear of it.
    reporter.waiting('setting up the overlay device');
    const setUp = () => reconciler.devices(plan());
    await setUpDevices({
      ...this.#context,
      setUp,
      signal: stop,
      onWait: (reason) => reporter.waiting(reason),
    });
    reporter.waiting('publishing the lease');
    const { type, backendData } = backend;
    await manager.publish({ backendType: type, publicIp: external.publicIps, backendData }, stop);
    const rules = startRules({ config, own, ...options, log, onResult: (error) => reporter.rules(error) });
    stack.use(rules.keeper);
    await settledOrAborted(rules.started, stop);
    reporter.waiting('waiting for the list of nodes');
    reporter.whenReady(() => {
      log.info('ready');
      // Rejects only when stopped.
      void manager.announceReady(stop).catch(() => {});
    });
    const first = () => {
      programmed = true;
      relax();
      keeper.pass();
      relax();
      // From here on, not before: thousands of notifications of our own first writes would only be read and dropped.
      const watch = stack.use(new ExternalWatch({ rtnetlink, external, onChange: startOver }));
      const onSurprise = (what: string) => keeper.request(what);
      stack.use(
        this.#monitor({
          rtnetlink,
          plan,
          onSurprise,
          external: external.name,
          onExternal: () => watch.poke(),
        }),
      );
      keeper.request('first look with notifications on');
      stack.defer(this.#keepFile({ config, own, mtu: backend.mtu, ipMasq: options.flags['ip-masq'] }));
      const { entries } = peers.claims;
      log.info('peers programmed', {
        peers: peers.size,
        entries: entries.size,
        mtu: backend.mtu,
      });
      reporter.started();
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
  #keepFile(content: SubnetFileContent): () => void {
    const { log, options } = this.#context;
    return new SubnetFile(options.flags['subnet-file'], content).keep({
      onRepair: () => log.warn('the subnet file was removed or changed; written again'),
      onResult: (error) => this.#reporter.file(error),
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
      onWait: (reason) => this.#reporter.waiting(reason),
    });
  }

  #monitor(parts: MonitorParts): HostMonitor {
    const { rtnetlink, ...options } = parts;
    const linkNames = () => new Map(rtnetlink.links().map((link) => [link.index, link.name]));
    return new HostMonitor({ ...options, log: this.#context.log, linkNames });
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
  /** Ends this run; another one begins with what is then true. */
  readonly startOver: (reason: string) => void;
}

interface MonitorParts extends Omit<ConstructorParameters<typeof HostMonitor>[0], 'log' | 'linkNames'> {
  readonly rtnetlink: Rtnetlink;
}

/** The subnet of this node or its external interface is another: device, rules and lease depend on it. */
export class StartOver extends FlannelError {
  override readonly name = 'StartOver';

  constructor(reason: string) {
    super('operator', reason);
  }
}
