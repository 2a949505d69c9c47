import { systemClock } from '#base/clock.ts';
import { FlannelError } from '#base/errors.ts';
import { setSysctl } from '#host/sysctl.ts';
import type { ApiServer } from '#lab/api/server.ts';
import type { LabBackend } from '#lab/command/options.ts';
import { enterArgv } from '#lab/process/places.ts';
import { innerArgv, programFolder, runOrThrow } from '#lab/process/run.ts';
import { holdNamespaces } from '#lab/serve/namespaces.ts';
import { connectNode, connectWorld, UNDERLAY_BRIDGE } from '#lab/serve/network.ts';
import type { LabPaths } from '#lab/state/paths.ts';
import type { Family } from '#net/family.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import { RT_TABLE } from '#rtnetlink/constants.ts';
import { POD_NETWORKS, ROUTER, soakNodePlan, WORLD, WORLD_NETWORK_6, WORLD_ROUTER_6 } from './addresses.ts';
import { Agent } from './agent.ts';
import { BACKEND_FACTS, type SoakBackend } from './backends.ts';
import { duplicateDetectionOver } from './duplicate-detection.ts';
import { SoakNode } from './node.ts';
import type { SoakOptions } from './options.ts';
import { addPod, type SoakPod } from './pods.ts';
import { writeCredentials } from './service-token.ts';
import type { Way } from './ledger.ts';
import type { ProbeSet } from './prober/protocol.ts';
import { probesOf } from './probe-set.ts';

export interface ClusterParts {
  readonly options: SoakOptions;
  readonly paths: LabPaths;
  readonly env: Readonly<Record<string, string>>;
  readonly api: ApiServer;
  readonly onDeath: (words: string) => void;
  /** Hears what is to be probed from now on; resolves when it is. */
  readonly onProbes: (probes: Probed) => Promise<void>;
}

/** What is probed, and what its pairs lie between. */
export interface Probed {
  readonly set: ProbeSet;
  readonly ways: ReadonlyMap<string, Way>;
}

/** The nodes, the world, and what the faults need to act on them. */
export class Cluster implements Disposable {
  readonly api: ApiServer;
  readonly env: Readonly<Record<string, string>>;
  readonly families: readonly Family[];
  readonly nodes: SoakNode[] = [];
  readonly #parts: ClusterParts;
  #worldPid = 0;
  #pods = 0;
  #tokens = 0;

  constructor(parts: ClusterParts) {
    this.#parts = parts;
    this.api = parts.api;
    this.env = parts.env;
    this.families = parts.options.families === 'dual' ? ['ipv4', 'ipv6'] : ['ipv4'];
  }

  async build(): Promise<void> {
    const { options, env } = this.#parts;
    const plans = Array.from({ length: options.nodes }, (_, at) => soakNodePlan(at + 1));
    const [world, ...pids] = await Promise.all([
      holdNamespaces({ mounts: false }, env),
      ...plans.map(() => holdNamespaces({ mounts: true }, env)),
    ]);
    this.#worldPid = world;
    using net = Rtnetlink.open();
    connectWorld(net, world);
    if (this.families.includes('ipv6')) await this.#worldIpv6();
    for (const [at, plan] of plans.entries()) {
      const pid = pids[at] ?? 0;
      connectNode(net, plan, pid);
      this.nodes.push(
        new SoakNode({ index: at + 1, plan, pid, families: this.families, backend: options.backend, env }),
      );
    }
    await Promise.all(this.nodes.map((node) => this.#prepare(node)));
    // What is lost from now on is to be the overlay's fault, not that of a router which may not yet ask for its neighbours.
    if (this.families.includes('ipv6')) await duplicateDetectionOver([process.pid, world, ...pids]);
  }

  /** Creates the Node as a kubelet and the controller manager do. */
  register(node: SoakNode): void {
    const [podCIDR = ''] = node.podCidrs;
    this.api.nodes.create({
      metadata: { name: node.name, labels: { 'kubernetes.io/hostname': node.name } },
      spec: { podCIDR, podCIDRs: node.podCidrs },
      status: { addresses: this.families.map((family) => internal(node.address(family))) },
    });
  }

  /** Wires another pod; `probe()` makes it part of what is checked. */
  async addPod(node: SoakNode, name = this.podName(node)): Promise<SoakPod> {
    return addPod(node, { env: this.env, name });
  }

  /** A name for a pod that no pod has had. */
  podName(node: SoakNode): string {
    this.#pods += 1;
    return `${node.name}-p${this.#pods}`;
  }

  /** The token of all agents, and the one that it is changed for. */
  nextToken(): { readonly old: string; readonly fresh: string } {
    this.#tokens += 1;
    return { old: `token-${this.#tokens - 1}`, fresh: `token-${this.#tokens}` };
  }

  /** A new veth to the underlay's switch in the place of one that was removed: another index, same MAC and address. */
  connect(node: SoakNode): void {
    using net = Rtnetlink.open();
    connectNode(net, node.plan, node.pid);
  }

  /** Has every pod probed that is there now. */
  async probe(): Promise<void> {
    const world = { name: 'world', netns: `/proc/${this.#worldPid}/ns/net` };
    await this.#parts.onProbes(probesOf(this, world));
  }

  /** That of all nodes, but for those that a fault has given another one. */
  get backend(): LabBackend {
    return this.#parts.options.backend;
  }

  get traffic(): 'nftables' | 'iptables' {
    return this.#parts.options.traffic;
  }

  /** Waits until all other nodes have their routes to `node`: its new pod has nobody to talk to before. */
  async peersKnow(node: SoakNode): Promise<void> {
    const others = this.nodes.filter((other) => other !== node);
    const start = performance.now();
    while (performance.now() - start < PATIENCE) {
      if (others.every((other) => knows(other, node))) return;
      await systemClock.sleep(20);
    }
    throw new FlannelError(
      'bug',
      `not every node has a route to ${node.podCidrs.join(', ')} of ${node.name}`,
    );
  }

  [Symbol.dispose](): void {
    for (const node of this.nodes) node[Symbol.dispose]();
  }

  async #worldIpv6(): Promise<void> {
    const ip = (command: string) => runOrThrow(['ip', ...command.split(' ')], { env: this.env });
    const inWorld = (command: string) =>
      runOrThrow(['nsenter', `--net=/proc/${this.#worldPid}/ns/net`, '--', 'ip', ...command.split(' ')], {
        env: this.env,
      });
    setSysctl('net/ipv6/conf/all/forwarding', '1');
    await ip(`-6 addr add ${ROUTER.ipv6}/64 dev ${UNDERLAY_BRIDGE} nodad`);
    await ip(`-6 addr add ${WORLD_ROUTER_6}/64 dev to-world nodad`);
    await inWorld(`-6 addr add ${WORLD.ipv6}/${WORLD_NETWORK_6.split('/')[1] ?? ''} dev eth0 nodad`);
    await inWorld(`-6 route add default via ${WORLD_ROUTER_6}`);
  }

  async #prepare(node: SoakNode): Promise<void> {
    const { paths, env, api, onDeath } = this.#parts;
    const folders = { netConf: this.netConf(node.backend), programs: programFolder() };
    await runOrThrow(enterArgv(node.place, innerArgv('__node', JSON.stringify(folders))), { env });
    if (this.families.includes('ipv6')) {
      await node.run('sysctl', '-qw', 'net.ipv6.conf.all.forwarding=1');
      await node.ip(`-6 addr add ${node.onUnderlay('ipv6')} dev eth0 nodad`);
    }
    await node.addDefaultRoutes();
    this.register(node);
    const logFile = paths.agentLog(node.name);
    writeCredentials(node, api.url);
    node.agent = new Agent({ node: node.state, env, logFile, onDeath });
  }

  /** `net-conf.json` of a node with this backend. */
  netConf(backend: SoakBackend): string {
    const { options } = this.#parts;
    const conf = {
      Network: POD_NETWORKS.ipv4,
      ...(this.families.includes('ipv6') ? { EnableIPv6: true, IPv6Network: POD_NETWORKS.ipv6 } : {}),
      EnableNFTables: options.traffic === 'nftables',
      Backend: BACKEND_FACTS[backend].conf,
    };
    return `${JSON.stringify(conf, null, 2)}\n`;
  }
}

/** How long all nodes may take to hear of one, ms. */
const PATIENCE = 20_000;

function knows(other: SoakNode, node: SoakNode): boolean {
  return node.families.every((family) =>
    other.rtnetlink
      .routes({ family, table: RT_TABLE.MAIN })
      .some(({ dst }) => dst?.toString() === node.podCidr(family)),
  );
}

function internal(address: string): { type: string; address: string } {
  return { type: 'InternalIP', address };
}
