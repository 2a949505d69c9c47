import { join } from 'node:path';
import type { Subprocess } from 'bun';
import { systemClock } from '#base/clock.ts';
import { describe, FlannelError } from '#base/errors.ts';
import { createEtcdClient, type EtcdClient } from '#clients/etcd/client.ts';
import { Cidr } from '#net/cidr.ts';
import { configKey, subnetName, subnetsPrefix } from '#subnet/etcd/keys.ts';
import { renderLeaseValue } from '#subnet/etcd/value.ts';
import { Ip } from '#net/ip.ts';
import { GATEWAY } from '../state/address-plan.ts';
import { startHeld } from './child.ts';
import { type LabManager, type ManagerParts, PAPER } from './manager.ts';

const PREFIX = '/coreos.com/network';
const PORT = 2379;
const START_LIMIT_MS = 20_000;

/** Starts a real etcd, one member with its data in the lab's folder, and writes the network configuration. */
export async function startEtcd(parts: ManagerParts): Promise<LabManager> {
  if (Bun.which('etcd', { PATH: parts.env['PATH'] ?? '' }) === null) {
    throw new FlannelError('operator', 'etcd is not installed', {
      cure: 'Install it (Debian: apt-get install etcd-server), or use --manager kube',
    });
  }
  const etcd = new Etcd(parts);
  await etcd.begin();
  return etcd;
}

class Etcd implements LabManager {
  readonly url = `http://${GATEWAY}:${PORT}`;
  readonly title = `etcd at ${this.url} inside the lab`;
  readonly agentFlags = [`--etcd-endpoints=${this.url}`, `--etcd-prefix=${PREFIX}`];
  readonly #parts: ManagerParts;
  readonly #client: EtcdClient;
  #process: Subprocess | undefined;

  constructor(parts: ManagerParts) {
    this.#parts = parts;
    this.#client = createEtcdClient({ endpoints: [this.url], username: '' });
  }

  async begin(): Promise<void> {
    this.#start();
    await this.#put(configKey(PREFIX), this.#parts.netConf);
  }

  /** Nodes introduce themselves. */
  addNode(): Promise<void> {
    return Promise.resolve();
  }

  annotations(): Readonly<Record<string, string>> {
    return {};
  }

  addPod(): void {
    // etcd knows nothing of pods.
  }

  removePod(): void {
    // As above.
  }

  nodeReady(): boolean {
    return true;
  }

  async cut(ms: number): Promise<void> {
    this.#process?.kill('SIGKILL');
    await this.#process?.exited;
    setTimeout(() => this.#start(), ms);
  }

  addPaperNode(backend: string): Promise<void> {
    const value = renderLeaseValue({
      backendType: backend,
      publicIp: { ipv4: Ip.parse(PAPER.publicIp) },
      backendData: { ipv4: backend === 'vxlan' ? `{"VNI":1,"VtepMAC":"${PAPER.mac}"}` : 'null' },
    });
    return this.#put(this.#paperKey(), value);
  }

  removePaperNode(): Promise<void> {
    const { signal } = new AbortController();
    return answered(async () => {
      const kv = await this.#client.get(this.#paperKey(), signal);
      if (kv !== undefined) await this.#client.deleteIf(kv.key, kv.modRevision, signal);
    });
  }

  #paperKey(): string {
    return subnetsPrefix(PREFIX) + subnetName({ ipv4: Cidr.parse(PAPER.subnet) });
  }

  #put(key: string, value: string): Promise<void> {
    const { signal } = new AbortController();
    return answered(async () => {
      const unchangedSince = (await this.#client.get(key, signal))?.modRevision ?? 0n;
      await this.#client.putIf({ key, value, lease: 0n, unchangedSince }, signal);
    });
  }

  #start(): void {
    const { folder, env, logFile } = this.#parts;
    const argv = [
      'etcd',
      `--data-dir=${join(folder, 'etcd')}`,
      `--listen-client-urls=${this.url}`,
      `--advertise-client-urls=${this.url}`,
      `--listen-peer-urls=http://${GATEWAY}:${PORT + 1}`,
      `--initial-advertise-peer-urls=http://${GATEWAY}:${PORT + 1}`,
      `--initial-cluster=default=http://${GATEWAY}:${PORT + 1}`,
    ];
    this.#process = startHeld(argv, { env, log: logFile });
  }
}

/** Tries until etcd, which may just be starting, answers. */
async function answered(attempt: () => Promise<void>): Promise<void> {
  const start = performance.now();
  for (;;) {
    try {
      await attempt();
      return;
    } catch (error) {
      if (performance.now() - start > START_LIMIT_MS) {
        throw new FlannelError('operator', `etcd does not come up: ${describe(error)}`, { cause: error });
      }
      await systemClock.sleep(50);
    }
  }
}
