import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startApiServer, type ApiServer, type ApiServerOptions } from '#lab/api/server.ts';
import { AgentProcess, type AgentStart } from './agent-process.ts';
import { eventually } from './eventually.ts';
import { must, run } from './netns.ts';

export const PREFIX = 'flannel.alpha.coreos.com';

/** The network of n1 in the recordings: 192.168.50.11 and fd50::11 on eth0, routers at .1 and ::1. */
function makeUnderlay(): void {
  must(['ip', 'link', 'set', 'lo', 'up']);
  must(['ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'wire']);
  must(['ip', 'addr', 'add', '192.168.50.11/24', 'dev', 'eth0']);
  must(['ip', 'addr', 'add', 'fd50::11/64', 'dev', 'eth0', 'nodad']);
  must(['ip', 'link', 'set', 'wire', 'up']);
  must(['ip', 'link', 'set', 'eth0', 'up']);
  must(['ip', 'route', 'add', 'default', 'via', '192.168.50.1']);
  must(['ip', '-6', 'route', 'add', 'default', 'via', 'fd50::1']);
}

/** The overlay's devices go with eth0. */
function removeUnderlay(): void {
  run(['ip', 'link', 'delete', 'eth0']);
  run(['nft', 'flush', 'ruleset']);
}

export interface PeerSpec {
  readonly podCidrs: readonly string[];
  readonly publicIp: string;
  readonly publicIp6?: string;
  /** Of the vxlan backend; without it `backend-data` is null. */
  readonly mac?: string;
  readonly mac6?: string;
  /** Default vxlan. */
  readonly backend?: string;
}

export const N2: PeerSpec & { readonly mac: string } = {
  podCidrs: ['10.244.2.0/24'],
  publicIp: '192.168.50.12',
  mac: 'ba:35:f7:c1:34:9a',
};

export function vxlanData(mac: string, vni = 1): string {
  return `{"VNI":${vni},"VtepMAC":"${mac}"}`;
}

/** The annotations that a flanneld writes for a peer. */
export function peerAnnotations(peer: PeerSpec): Record<string, string> {
  const all: Record<string, string> = {
    'kube-subnet-manager': 'true',
    'backend-type': peer.backend ?? 'vxlan',
    'backend-data': peer.mac === undefined ? 'null' : vxlanData(peer.mac),
    'public-ip': peer.publicIp,
  };
  if (peer.publicIp6 !== undefined) {
    all['public-ipv6'] = peer.publicIp6;
    all['backend-v6-data'] = peer.mac6 === undefined ? 'null' : vxlanData(peer.mac6);
  }
  return prefixed(all);
}

export function prefixed(annotations: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(annotations).map(([key, value]) => [`${PREFIX}/${key}`, value]));
}

export interface WorldOptions {
  readonly netConf: string;
  readonly api?: ApiServerOptions;
}

/** One node's surroundings: underlay, API server and files. Lives in the network namespace of this test process. */
export class AgentWorld implements AsyncDisposable {
  readonly api: ApiServer;
  readonly folder: string;

  private constructor(api: ApiServer, folder: string) {
    this.api = api;
    this.folder = folder;
  }

  static async create({ netConf, api = {} }: WorldOptions): Promise<AgentWorld> {
    removeUnderlay();
    makeUnderlay();
    const folder = mkdtempSync(join(tmpdir(), 'flanneld-test-'));
    const world = new AgentWorld(await startApiServer(api), folder);
    world.writeNetConf(netConf);
    return world;
  }

  get subnetFile(): string {
    return join(this.folder, 'run', 'subnet.env');
  }

  get netConfFile(): string {
    return join(this.folder, 'net-conf.json');
  }

  writeNetConf(text: string): void {
    writeFileSync(this.netConfFile, text);
  }

  addNode(name: string, spec: { podCidrs: readonly string[]; annotations?: Record<string, string> }): void {
    const [podCIDR] = spec.podCidrs;
    this.api.nodes.create({
      metadata: { name, annotations: { ...spec.annotations } },
      spec: podCIDR === undefined ? {} : { podCIDR, podCIDRs: [...spec.podCidrs] },
    });
  }

  addPeer(name: string, peer: PeerSpec): void {
    this.addNode(name, { podCidrs: peer.podCidrs, annotations: peerAnnotations(peer) });
  }

  annotate(name: string, annotations: Readonly<Record<string, string>>): void {
    this.api.nodes.update(name, (node) => {
      node.metadata.annotations = { ...node.metadata.annotations, ...annotations };
    });
  }

  annotation(name: string, key: string): string | undefined {
    return this.api.nodes.get(name)?.metadata.annotations?.[`${PREFIX}/${key}`];
  }

  /** Starts flanneld as the manifest does, for node n1. */
  start(extra: readonly string[] = [], more: Omit<AgentStart, 'args'> = {}): AgentProcess {
    const args = [
      '--kube-subnet-mgr',
      '--ip-masq',
      `--kube-api-url=${this.api.url}`,
      `--net-config-path=${this.netConfFile}`,
      `--subnet-file=${this.subnetFile}`,
      `--ipam-dir=${this.folder}/networks`,
      '--healthz-ip=127.0.0.1',
      `--healthz-port=${HEALTH_PORT}`,
      ...extra,
    ];
    return new AgentProcess({ ...more, args, env: { NODE_NAME: 'n1', ...more.env } });
  }

  /** Starts it and waits until it is ready. */
  async startReady(
    extra: readonly string[] = [],
    more: Omit<AgentStart, 'args'> = {},
  ): Promise<AgentProcess> {
    const agent = this.start(extra, more);
    try {
      await ready(agent);
    } catch (error) {
      await agent[Symbol.asyncDispose]();
      throw new Error(`flanneld does not become ready; its log:\n${agent.log}`, { cause: error });
    }
    return agent;
  }

  subnetEnv(): string {
    return readFileSync(this.subnetFile, 'utf8');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.api.close();
    removeUnderlay();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

const HEALTH_PORT = 10_256;

export async function readyz(): Promise<{ status: number; text: string }> {
  const response = await fetch(`http://127.0.0.1:${HEALTH_PORT}/readyz`);
  return { status: response.status, text: await response.text() };
}

async function ready(agent: AgentProcess): Promise<void> {
  await eventually(async () => {
    if (!agent.running) throw new Error('it has ended');
    const { status, text } = await readyz();
    if (status !== 200) throw new Error(text);
  });
}
