import { dirname, join } from 'node:path';
import { ConfigError } from '#base/errors.ts';
import type { ExternalInterface } from '#backend/backend.ts';
import { createBackend, checkBackend } from '#backend/create.ts';
import type { Overlay } from '#daemon/inspect/overlay.ts';
import { plannedRules } from '#daemon/start-rules.ts';
import { tryReadText } from '#ffi/file-system.ts';
import type { Cidr } from '#net/cidr.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import type { Link } from '#rtnetlink/link.ts';
import { parseNetworkConfig, type NetworkConfig, type ParsedNetworkConfig } from '#subnet/config.ts';
import { parseSubnetEnv, type SubnetEnv } from '#subnet/env.ts';
import type { NodeView } from '#subnet/kube/node.ts';
import type { TrafficMode } from '#traffic/rules.ts';
import { parseStatus, type AgentStatus } from '#daemon/inspect/agent-status.ts';
import { differenceOf, type Difference } from '#daemon/inspect/difference.ts';
import { NotAsked } from '../finding.ts';
import { findAgent, seenFrom, type AgentFacts } from './agent.ts';
import { cniFiles, type CniFile } from './cni-files.ts';
import { Cluster } from './cluster.ts';
import { chosenInterface } from './external.ts';
import type { HostAccess } from './host-access.ts';
import { once } from './once.ts';
import type { DoctorOptions } from './options.ts';
import { overlayFromAgent, overlayFromCluster } from './overlay.ts';

export interface FactsParts {
  readonly options: DoctorOptions;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly host: HostAccess;
  /** Ends everything that is waited for. */
  readonly signal: AbortSignal;
}

/** How long a change that is on its way may take, ms. */
const SETTLE = 300;

/** What is known of this node: each fact is looked up when the first check asks for it, once. */
export class Facts implements Disposable {
  readonly options: DoctorOptions;
  readonly host: HostAccess;
  readonly agent: AgentFacts;
  readonly cluster: Cluster;
  readonly signal: AbortSignal;
  readonly env: FactsParts['env'];
  #net: Rtnetlink | undefined;

  constructor({ options, env, host, signal }: FactsParts) {
    this.options = options;
    this.host = host;
    this.signal = signal;
    this.env = env;
    this.agent = findAgent(options, env);
    this.cluster = new Cluster({ agent: this.agent, nodeName: options.nodeName, signal, now: host.now });
  }

  [Symbol.dispose](): void {
    this.#net?.close();
    this.cluster[Symbol.dispose]();
  }

  /** A file of the agent's, as it can be opened from here. */
  path(path: string): string {
    return seenFrom(this.agent, path);
  }

  /** The folder of subnet file, status file and records. */
  get runDir(): string {
    return dirname(this.path(this.agent.flags['subnet-file']));
  }

  /** Where host-local keeps its reservations. */
  get ipamDir(): string {
    return this.path(this.agent.flags['ipam-dir']);
  }

  /** The network configuration with its warnings. Throws ConfigError; NotAsked when it is not on this host. */
  readonly parsedConfig = once((): ParsedNetworkConfig => {
    const source = this.agent.flags['net-config-path'];
    const text = tryReadText(this.path(source));
    if (text !== undefined) {
      const parsed = parseNetworkConfig(text, { source });
      return { ...parsed, warnings: [...parsed.warnings, ...checkBackend(parsed.config)] };
    }
    if (this.agent.pid === undefined && this.options.agent['net-config-path'] === undefined)
      throw new NotAsked(`${source} is not on this host; name the file with --net-config-path`);
    throw new ConfigError(source, 'there is no such file');
  });

  /** As `parsedConfig`; a configuration that cannot be used is the business of one check alone. */
  readonly config = once((): NetworkConfig => {
    try {
      return this.parsedConfig().config;
    } catch (error) {
      throw error instanceof ConfigError ? new NotAsked('the network configuration cannot be used') : error;
    }
  });

  /** The configuration, or undefined: for checks that go on with the agent's defaults. */
  get configIfAny(): NetworkConfig | undefined {
    try {
      return this.config();
    } catch (error) {
      if (error instanceof NotAsked) return undefined;
      throw error;
    }
  }

  get mode(): TrafficMode {
    return this.configIfAny?.enableNftables === true ? 'nftables' : 'iptables';
  }

  get net(): Rtnetlink {
    this.#net ??= Rtnetlink.open();
    return this.#net;
  }

  /** Links as they were at the first look. */
  readonly links = once((): readonly Link[] => this.net.links());

  linkNamed(name: string): Link | undefined {
    return this.links().find((link) => link.name === name);
  }

  /** Throws NotAsked where no agent runs in this network namespace. */
  needAgent(): void {
    if (this.agent.pid === undefined) throw new NotAsked('no agent runs');
  }

  /** What the agent said last. Throws NotAsked where it has said nothing since boot. */
  readonly status = once((): AgentStatus => {
    const path = join(this.runDir, 'status.json');
    const text = tryReadText(path);
    if (text === undefined) throw new NotAsked(`there is no ${path}: the agent has not run since boot`);
    return parseStatus(text);
  });

  get statusIfAny(): AgentStatus | undefined {
    try {
      return this.status();
    } catch (error) {
      if (error instanceof NotAsked) return undefined;
      throw error;
    }
  }

  /** What the container runtime reads. */
  readonly conflists = once((): readonly CniFile[] => cniFiles(this.options.confDir));

  /** What the agent tells the CNI plugins. Throws NotAsked before its first start, ConfigError for a damaged file. */
  readonly parsedSubnetEnv = once((): SubnetEnv => {
    const path = this.path(this.agent.flags['subnet-file']);
    const text = tryReadText(path);
    if (text === undefined) throw new NotAsked('this node has no subnet yet');
    return parseSubnetEnv(text, path);
  });

  /** As `parsedSubnetEnv`; a damaged file is the business of one check alone. */
  readonly subnetEnv = once((): SubnetEnv => {
    try {
      return this.parsedSubnetEnv();
    } catch (error) {
      throw error instanceof ConfigError ? new NotAsked('the subnet file cannot be used') : error;
    }
  });

  /** The pod subnets of this node: networks. */
  get subnets(): readonly Cidr[] {
    return Object.values(this.subnetEnv().gateways).map((gateway) => gateway.network());
  }

  /** The interface that the agent uses, or would choose. Throws NotAsked when there is none. */
  readonly external = once((): ExternalInterface => {
    const chosen = chosenInterface(this);
    if ('wait' in chosen) throw new NotAsked(`there is no external interface: ${chosen.wait}`);
    return chosen;
  });

  /** What this node should look like, by the API; with another store, by the agent. Throws NotAsked without an agent. */
  readonly overlay = once((): Promise<Overlay> => this.#makeOverlay(() => this.cluster.nodes()));

  /**
   * Where kernel and plan differ. Writes nothing. A Node may have changed between the two readings, or the agent may be about to
   * act: what is found has to be there twice.
   */
  readonly difference = once(async (): Promise<Difference> => {
    const options = { runDir: this.runDir, env: this.env };
    const first = await differenceOf(await this.overlay(), options);
    if (first.found.length + first.rules.length + first.unread.length === 0) return first;
    await Bun.sleep(SETTLE);
    return differenceOf(await this.#makeOverlay(() => this.cluster.listNodes()), options);
  });

  async #makeOverlay(nodes: () => Promise<readonly NodeView[]>): Promise<Overlay> {
    this.needAgent();
    const { badFlags, flags } = this.agent;
    if (badFlags !== undefined || !flags['kube-subnet-mgr']) return overlayFromAgent(this.runDir);
    return overlayFromCluster(this, await nodes());
  }

  /** As the agent plans them. */
  plannedRules(
    own: Parameters<typeof plannedRules>[0]['own'],
    backend: ReturnType<typeof createBackend>,
  ): Overlay['rules'] {
    const parts = { config: this.config(), own, links: backend.links, flags: this.agent.flags };
    return { mode: this.mode, set: plannedRules(parts) };
  }
}
