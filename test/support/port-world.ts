import { addPod, callPlugin, must, NodeFiles, type CniResultJson, type Outcome } from './cni.ts';
import { must as exec, NamedNetns, run } from './netns.ts';
import { PortPeer } from './port-peer.ts';

export interface Mapping {
  readonly hostPort: number;
  readonly containerPort: number;
  readonly protocol?: string;
  readonly hostIP?: string;
}

/** A pod with servers on TCP and UDP 80 and UDP 53 that answer with its name. */
export interface Pod {
  readonly name: string;
  readonly netns: NamedNetns;
  readonly result: CniResultJson;
  readonly peer: PortPeer;
  /** Without prefix length: IPv4, IPv6. */
  readonly ips: readonly string[];
}

/** Addresses of the node and of a machine outside. */
export const NODE = { ipv4: '192.168.50.1', second: '192.168.50.3', ipv6: 'fd50::1' } as const;
export const OUTSIDE = { ipv4: '192.168.50.2', ipv6: 'fd50::2' } as const;

/** This namespace as a node with pods on cni0, and a machine outside that has routes to them. */
export class PortWorld implements AsyncDisposable {
  readonly files = new NodeFiles();
  readonly node: PortPeer;
  readonly outside: PortPeer;
  readonly #outside: NamedNetns;
  readonly #pods: Pod[] = [];
  /** What each portmap call says besides. */
  readonly #config: object;
  /** Ours by name, or the path of another's executable. */
  readonly #plugin: string;

  constructor(config: object, plugin = 'portmap') {
    this.#config = config;
    this.#plugin = plugin;
    this.files.writeSubnetEnv();
    this.#outside = NamedNetns.create('pmap');
    wireOutside(this.#outside);
    this.node = new PortPeer(undefined);
    this.outside = new PortPeer(this.#outside.name);
  }

  /** Path of the namespace outside. */
  get outsideNetns(): string {
    return this.#outside.path;
  }

  async pod(name: string): Promise<Pod> {
    const netns = NamedNetns.create('pmap');
    const result = await addPod('flannel', {
      containerId: name,
      netns: netns.path,
      config: this.files.flannelConfig(),
    });
    const peer = new PortPeer(netns.name);
    for (const [transport, port] of [
      ['tcp', 80],
      ['udp', 80],
      ['udp', 53],
    ] as const) {
      await peer.serve(transport, port, name);
    }
    const ips = result.ips.map(({ address }) => address.split('/')[0] ?? '');
    const pod = { name, netns, result, peer, ips };
    this.#pods.push(pod);
    return pod;
  }

  config(pod: Pod, portMappings: readonly Mapping[] | undefined, extra: object = {}): object {
    const runtimeConfig = portMappings === undefined ? {} : { runtimeConfig: { portMappings } };
    const fixed = { cniVersion: '1.0.0', name: 'cbr0', type: 'portmap', prevResult: pod.result };
    return { ...fixed, ...this.#config, ...runtimeConfig, ...extra };
  }

  /** ADD of portmap. */
  async map(pod: Pod, portMappings: readonly Mapping[], extra: object = {}): Promise<void> {
    const config = this.config(pod, portMappings, extra);
    await addPod(this.#plugin, { containerId: pod.name, netns: pod.netns.path, config });
  }

  async call(pod: Pod, command: string, config: object): Promise<Outcome> {
    return callPlugin(this.#plugin, { command, containerId: pod.name, netns: pod.netns.path, config });
  }

  /** DEL of portmap, without saying what was mapped. */
  async unmap(pod: Pod): Promise<void> {
    const config = this.config(pod, undefined);
    await must(this.#plugin, { command: 'DEL', containerId: pod.name, netns: pod.netns.path, config });
  }

  /** DEL of the pod itself. */
  async remove(pod: Pod): Promise<void> {
    await pod.peer[Symbol.asyncDispose]();
    const config = this.files.flannelConfig();
    await must('flannel', { command: 'DEL', containerId: pod.name, netns: pod.netns.path, config });
    pod.netns[Symbol.dispose]();
    this.#pods.splice(this.#pods.indexOf(pod), 1);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (let pod = this.#pods.at(-1); pod !== undefined; pod = this.#pods.at(-1)) {
      await this.unmap(pod);
      await this.remove(pod);
    }
    await this.node[Symbol.asyncDispose]();
    await this.outside[Symbol.asyncDispose]();
    this.#outside[Symbol.dispose]();
    run(['ip', 'link', 'delete', 'ext0']);
    this.files[Symbol.dispose]();
  }
}

function wireOutside(outside: NamedNetns): void {
  exec(['ip', 'link', 'set', 'lo', 'up']);
  exec(['ip', 'link', 'add', 'ext0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', outside.name]);
  // The kernel asks for neighbours from the link-local address, and not before that one is certain.
  exec(['sysctl', '-q', '-w', 'net.ipv6.conf.ext0.accept_dad=0']);
  outside.exec(['sysctl', '-q', '-w', 'net.ipv6.conf.eth0.accept_dad=0']);
  for (const address of [`${NODE.ipv4}/24`, `${NODE.second}/24`])
    exec(['ip', 'address', 'add', address, 'dev', 'ext0']);
  exec(['ip', 'address', 'add', `${NODE.ipv6}/64`, 'dev', 'ext0', 'nodad']);
  exec(['ip', 'link', 'set', 'ext0', 'up']);
  outside.exec(['ip', 'link', 'set', 'lo', 'up']);
  outside.exec(['ip', 'address', 'add', `${OUTSIDE.ipv4}/24`, 'dev', 'eth0']);
  outside.exec(['ip', 'address', 'add', `${OUTSIDE.ipv6}/64`, 'dev', 'eth0', 'nodad']);
  outside.exec(['ip', 'link', 'set', 'eth0', 'up']);
  outside.exec(['ip', 'route', 'add', '10.244.0.0/16', 'via', NODE.ipv4]);
  outside.exec(['ip', '-6', 'route', 'add', '2001:cafe:42::/56', 'via', NODE.ipv6]);
}
