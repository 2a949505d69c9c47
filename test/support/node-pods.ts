import { mkdirSync } from 'node:fs';
import { Store } from '#ipam/store.ts';
import { netnsOrigin } from '#ipam/origin.ts';
import { readText } from '#ffi/file-system.ts';
import { Ip } from '#net/ip.ts';
import { must, NamedNetns, run } from './netns.ts';

/** A pod as the plugins make it: a namespace, a cable to cni0, an address reserved for it. */
export class NodePod implements Disposable {
  readonly netns: NamedNetns;
  readonly ip: string;
  readonly container: string;
  readonly veth: string;

  private constructor(netns: NamedNetns, parts: { ip: string; container: string; veth: string }) {
    this.netns = netns;
    this.ip = parts.ip;
    this.container = parts.container;
    this.veth = parts.veth;
  }

  /** Number `n` of the node: 10.244.1.n. cni0 is made with the first. */
  static create(n: number, ipamDir: string): NodePod {
    if (run(['ip', 'link', 'show', 'cni0']).code !== 0) makeBridge();
    const netns = NamedNetns.create('st');
    const [ip, veth] = [`10.244.1.${n}`, `veth${n}`];
    const container = `${n}`.repeat(8).slice(0, 8).padEnd(64, 'abcdef0123456789');
    must(['ip', 'link', 'add', veth, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', netns.name]);
    must(['ip', 'link', 'set', veth, 'mtu', '1450', 'master', 'cni0', 'up']);
    netns.exec(['ip', 'link', 'set', 'eth0', 'mtu', '1450', 'address', `02:00:00:00:01:0${n}`, 'up']);
    netns.exec(['ip', 'addr', 'add', `${ip}/24`, 'dev', 'eth0']);
    netns.exec(['ip', 'route', 'add', 'default', 'via', '10.244.1.1']);
    mkdirSync(`${ipamDir}/cbr0`, { recursive: true });
    using store = Store.open(`${ipamDir}/cbr0`, readText('/proc/sys/kernel/random/boot_id').trim());
    const holder = { containerId: container, ifName: 'eth0' };
    if (!store.reserve(Ip.parse(ip), holder, netnsOrigin(netns.path))) throw new Error(`${ip} is taken`);
    return new NodePod(netns, { ip, container, veth });
  }

  [Symbol.dispose](): void {
    run(['ip', 'link', 'delete', this.veth]);
    this.netns[Symbol.dispose]();
  }
}

function makeBridge(): void {
  must(['ip', 'link', 'add', 'cni0', 'address', '02:00:00:00:01:01', 'mtu', '1450', 'type', 'bridge']);
  must(['ip', 'addr', 'add', '10.244.1.1/24', 'dev', 'cni0']);
  must(['ip', 'link', 'set', 'cni0', 'up']);
  must(['sysctl', '-q', '-w', 'net.ipv4.ip_forward=1']);
}
