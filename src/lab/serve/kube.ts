import { startApiServer, type ApiServer } from '../api/server.ts';
import { isObject } from '../cni/conflist.ts';
import { API_PORT, GATEWAY } from '../state/address-plan.ts';
import type { NodeState, PodState } from '../state/state.ts';
import { type LabManager, type ManagerParts, PAPER } from './manager.ts';

const PREFIX = 'flannel.alpha.coreos.com';

export async function startKube(parts: ManagerParts): Promise<LabManager> {
  return new Kube(await startApiServer({ hostname: GATEWAY, port: API_PORT, log: parts.log }));
}

class Kube implements LabManager {
  readonly #api: ApiServer;

  constructor(api: ApiServer) {
    this.#api = api;
  }

  get url(): string {
    return this.#api.url;
  }

  get title(): string {
    return `a Kubernetes API at ${this.url} inside the lab`;
  }

  get agentFlags(): readonly string[] {
    return ['--kube-subnet-mgr', `--kube-api-url=${this.url}`];
  }

  addNode(node: NodeState, annotations: Readonly<Record<string, string>>): Promise<void> {
    this.#api.nodes.create({
      metadata: {
        name: node.name,
        labels: { 'kubernetes.io/hostname': node.name },
        annotations: { ...annotations },
      },
      spec: { podCIDR: node.podCidr, podCIDRs: [node.podCidr] },
      status: {
        addresses: [
          { type: 'InternalIP', address: node.ip },
          { type: 'Hostname', address: node.name },
        ],
      },
    });
    return Promise.resolve();
  }

  addPod({ name, ip }: PodState, node: NodeState): void {
    this.#api.pods.create({
      metadata: { name },
      spec: { nodeName: node.name, containers: [{ name: 'echo', image: 'flannel-lab' }] },
      status: { phase: 'Running', hostIP: node.ip, podIP: ip, podIPs: [{ ip }] },
    });
  }

  removePod(name: string): void {
    this.#api.pods.delete(name);
  }

  annotations(node: string): Readonly<Record<string, string>> {
    return this.#api.nodes.get(node)?.metadata.annotations ?? {};
  }

  /** Condition `NetworkUnavailable` is False. */
  nodeReady(name: string): boolean {
    const conditions = this.#api.nodes.get(name)?.status?.['conditions'];
    if (!Array.isArray(conditions)) return false;
    const found = conditions.find(
      (condition) => isObject(condition) && condition['type'] === 'NetworkUnavailable',
    );
    return isObject(found) && found['status'] === 'False';
  }

  async cut(ms: number): Promise<void> {
    await this.#api.faults.refuse();
    // Here and not in the command: a command that is interrupted must not leave the API cut.
    setTimeout(() => void this.#api.faults.listen(), ms);
  }

  addPaperNode(backend: string): Promise<void> {
    const data = backend === 'vxlan' ? `{"VNI":1,"VtepMAC":"${PAPER.mac}"}` : 'null';
    const annotations = {
      'kube-subnet-manager': 'true',
      'backend-type': backend,
      'backend-data': data,
      'public-ip': PAPER.publicIp,
    };
    this.#api.nodes.create({
      metadata: {
        name: PAPER.name,
        annotations: Object.fromEntries(
          Object.entries(annotations).map(([key, value]) => [`${PREFIX}/${key}`, value]),
        ),
      },
      spec: { podCIDR: PAPER.subnet, podCIDRs: [PAPER.subnet] },
    });
    return Promise.resolve();
  }

  removePaperNode(): Promise<void> {
    this.#api.nodes.delete(PAPER.name);
    return Promise.resolve();
  }
}
