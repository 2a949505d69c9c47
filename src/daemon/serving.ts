import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { Backend, ExternalInterface } from '#backend/backend.ts';
import { createBackend } from '#backend/create.ts';
import { FileDirectRoutes } from '#host/direct-routes.ts';
import { NetlinkKernel } from '#host/netlink-kernel.ts';
import type { HostPlan } from '#host/plan.ts';
import { planOf, Reconciler } from '#host/reconcile.ts';
import { FAMILIES } from '#net/family.ts';
import type { Rtnetlink } from '#rtnetlink/client.ts';
import type { NetworkConfig } from '#subnet/config.ts';
import type { LeaseEvent, OwnRecord, SubnetManager } from '#subnet/manager.ts';
import { backendContext } from './backend-context.ts';
import { startCommands, type Commands } from './commands.ts';
import { setUpDevices } from './devices.ts';
import { ExternalWatch } from './external-watch.ts';
import { Reach } from './external.ts';
import { Inbox } from './inbox.ts';
import type { OverlayParts } from './inspect/overlay.ts';
import { keepSubnetFile } from './keep-subnet-file.ts';
import { Keeper } from './keeper.ts';
import type { AgentMetrics } from './metrics/agent.ts';
import { HostMonitor } from './monitor.ts';
import { runFile, type AgentOptions } from './options.ts';
import { checkNeighbourTable } from './neighbour-table.ts';
import { Peers } from './peers.ts';
import { summarisePeers, type PeersSummary } from './peers-summary.ts';
import { ReachWatch } from './reach-watch.ts';
import type { Reporter } from './reporter.ts';
import { settledOrAborted } from './settled.ts';
import { plannedRules, rulesMode, startRules } from './start-rules.ts';
import type { NodeFacts } from './status.ts';
import { Sysctls, sysctlWishes } from './sysctls.ts';

/** What a run has found out before it touches the kernel. */
export interface ServingParts {
  readonly options: AgentOptions;
  readonly log: Logger;
  readonly clock: Clock;
  readonly random: () => number;
  readonly randomBytes: (count: number) => Uint8Array;
  readonly reporter: Reporter;
  readonly metrics: AgentMetrics;
  readonly config: NetworkConfig;
  readonly manager: SubnetManager;
  readonly own: OwnRecord;
  readonly external: ExternalInterface;
  readonly rtnetlink: Rtnetlink;
  readonly stop: AbortSignal;
  /** Closes, in reverse order, what was opened. */
  readonly stack: AsyncDisposableStack;
  /** Ends this run; another one begins with what is then true. */
  readonly startOver: (reason: string) => void;
}

/**
 * The engine sizes its heap by the machine's memory, but the agent lives within 50 MiB: between large steps, when much of
 * what it made is garbage, it collects. Costs 10 to 20 ms of CPU each with 5,000 peers, so there are few (docs/scale.md).
 */
const relax = () => Bun.gc(true);

/** One run with one subnet on one external interface: device, lease, rules, peers, in this order. */
export class Serving {
  readonly #parts: ServingParts;
  readonly #reach: Reach;
  readonly #backend: Backend;
  readonly #commands: Commands | undefined;
  readonly #peers: Peers;
  readonly #reconciler: Reconciler;
  readonly #keeper: Keeper;
  readonly #plan: () => HostPlan;
  /** The first list of peers is in the kernel. */
  #programmed = false;

  constructor(parts: ServingParts) {
    const { options, log, own, rtnetlink, reporter, external } = parts;
    this.#parts = parts;
    this.#reach = new Reach(rtnetlink, external);
    this.#backend = createBackend(backendContext(parts, this.#reach));
    this.#commands = startCommands(this.#backend, parts, runFile(options, 'extension-peers'));
    this.#peers = new Peers(this.#backend, log, this.#commands?.onFacts);
    this.#reconciler = new Reconciler({
      kernel: parts.stack.use(new NetlinkKernel(rtnetlink)),
      families: FAMILIES.filter((family) => external.addresses[family] !== undefined),
      directRoutes: new FileDirectRoutes(runFile(options, 'direct-routes')),
      log,
      relax,
    });
    const { links } = this.#backend;
    const ownBlackholes = options.flags['ip-blackhole-route'] ? Object.values(own.subnets) : [];
    this.#plan = () => {
      const blackholes = [...ownBlackholes, ...this.#peers.unreachable];
      const keepDevices = this.#backend.keepsDevices === true;
      return planOf({ links, blackholes, external: external.name, keepDevices }, this.#peers.claims);
    };
    this.#keeper = new Keeper({
      ...parts,
      reconciler: this.#reconciler,
      plan: this.#plan,
      onPass: (report, ms) => reporter.passed(report, { ms, expected: !this.#programmed }),
      onRefusal: (errors) => errors.forEach((error) => parts.metrics.failed(error)),
    });
    reporter.serve({
      facts: this.#facts(),
      peers: () => this.#summary(),
      plan: this.#plan,
      stalled: () => this.#keeper.stalled,
      overlay: () => this.#overlay(),
    });
    parts.stack.defer(() => this.#keeper.close());
  }

  /** Returns when `stop` is aborted. */
  async run(): Promise<void> {
    const { manager, stop, stack, reporter, log } = this.#parts;
    await this.#setUp();
    this.#keepSysctls();
    checkNeighbourTable({ subnets: this.#parts.own.subnets, log });
    await this.#publish();
    await this.#rules();
    reporter.waiting('waiting for the list of nodes');
    reporter.whenReady(() => {
      log.info('ready');
      // Rejects only when stopped.
      void manager.announceReady(stop).catch(() => {});
    });
    const inbox = new Inbox((events) => this.#take(events));
    stack.defer(() => inbox.close());
    await manager.watch((event) => inbox.add(event), stop);
  }

  #facts(): NodeFacts {
    const { own, external, config } = this.#parts;
    const { type, mtu } = this.#backend;
    return {
      own,
      backendType: type,
      publicIps: external.publicIps,
      external: { name: external.name, mtu: external.mtu },
      mtu,
      rulesMode: rulesMode(config),
    };
  }

  #overlay(): OverlayParts {
    const { config, own, manager, options } = this.#parts;
    const { links } = this.#backend;
    const set = plannedRules({ config, own, links, flags: options.flags });
    return {
      node: own.name,
      backend: this.#backend,
      plan: this.#plan(),
      rules: { mode: rulesMode(config), set },
      peers: this.#peers,
      unreadable: manager.leftOut(),
      refused: this.#reconciler.refused,
    };
  }

  #summary(): PeersSummary {
    const unreadable = this.#parts.manager.leftOut();
    return summarisePeers({ peers: this.#peers, unreadable, refused: this.#reconciler.refused });
  }

  /** The device must be there before peers hear of it. */
  async #setUp(): Promise<void> {
    const { reporter, stop } = this.#parts;
    reporter.waiting('setting up the overlay device');
    await setUpDevices({
      ...this.#parts,
      setUp: () => {
        const plan = this.#plan();
        const { keepsDevices = false, type } = this.#backend;
        const { backendType = type } = this.#parts.own;
        // What the commands make later must not be taken for what another backend has left.
        if (keepsDevices && backendType !== type)
          return this.#reconciler.full({ ...plan, keepDevices: false });
        return this.#reconciler.devices(plan);
      },
      signal: stop,
      onWait: (reason) => reporter.waiting(reason),
    });
  }

  #keepSysctls(): void {
    const { config, external, log, stack, reporter } = this.#parts;
    const { families, enableNftables } = config;
    const wishes = sysctlWishes({ families, links: this.#backend.links, iptables: !enableNftables });
    const onRepair = (what: string) => reporter.repaired('sysctl', 1, what);
    stack.use(new Sysctls({ wishes, external: external.name, log, onRepair }));
  }

  async #publish(): Promise<void> {
    const { reporter, manager, external, stop } = this.#parts;
    const { type } = this.#backend;
    const backendData = (await this.#commands?.before()) ?? this.#backend.backendData;
    reporter.waiting('publishing the lease');
    await manager.publish({ backendType: type, publicIp: external.publicIps, backendData }, stop);
    await this.#commands?.after();
  }

  async #rules(): Promise<void> {
    const { reporter, stack, options, stop } = this.#parts;
    const onResult = (error: string | undefined, repaired: number) => reporter.rules(error, repaired);
    const { links } = this.#backend;
    const rules = startRules({ ...this.#parts, ...options, links, onResult });
    stack.use(rules.keeper);
    await settledOrAborted(rules.started, stop);
  }

  #take(events: readonly LeaseEvent[]): void {
    const { unreachable } = this.#peers;
    if (this.#programmed) {
      const change = this.#peers.take(events);
      // A pass blocks before it takes the route away, and the other way round.
      if (unreachable === this.#peers.unreachable) this.#keeper.change(change);
      else this.#keeper.pass();
      return;
    }
    this.#peers.load(events);
    if (events.some((event) => event.type === 'reset')) this.#first();
  }

  /** The first whole list: programs it, and from then on watches the kernel. */
  #first(): void {
    const { log, reporter } = this.#parts;
    this.#programmed = true;
    relax();
    this.#keeper.pass();
    // What that took goes back to the kernel before the next pass takes as much again: 3 of 50 MiB with 5,000 peers.
    Bun.shrink();
    this.#commands?.start();
    // From here on, not before: thousands of notifications of our own first writes would only be read and dropped.
    this.#watchKernel();
    this.#keeper.request('first look with notifications on');
    keepSubnetFile(this.#parts, this.#backend.mtu);
    const { claims, size, leftOut } = this.#peers;
    log.info('peers programmed', {
      peers: size,
      leftOut,
      entries: claims.entries.size,
      mtu: this.#backend.mtu,
    });
    reporter.started();
  }

  #watchKernel(): void {
    const { stack, config, rtnetlink, external, startOver, log, metrics } = this.#parts;
    const { families } = config;
    const watch = stack.use(new ExternalWatch({ rtnetlink, external, families, onChange: startOver }));
    const reach = stack.use(new ReachWatch({ ...this.#parts, again: () => this.#planAgain() }));
    stack.use(
      new HostMonitor({
        plan: this.#plan,
        log,
        external: external.name,
        onExternal: () => {
          watch.poke();
          reach.poke();
        },
        onForeignRoute: () => reach.poke(),
        onOverrun: () => metrics.overrun(),
        onSurprise: (what) => this.#keeper.request(what),
        linkNames: () => new Map(rtnetlink.links().map((link) => [link.index, link.name])),
      }),
    );
  }

  /** Peers may have come onto the link, or gone from it. */
  #planAgain(): void {
    if (this.#backend.asksRoutes !== true) return;
    this.#reach.refresh();
    this.#keeper.change(this.#peers.again());
  }
}
