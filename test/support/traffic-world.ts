import { Cidr } from '#net/cidr.ts';
import type { Family } from '#net/family.ts';
import type { FamilyNetwork } from '#traffic/rules.ts';
import { must, NamedNetns, run } from './netns.ts';
import { PortPeer } from './port-peer.ts';

interface Places {
  readonly node: string;
  readonly outside: string;
  readonly gateway: string;
  readonly pod: string;
  readonly remotePod: string;
}

/** Who is where. `outside` is the next node, whose pod `remotePod` is, and the outside world at the same time. */
export const PLACES: Readonly<Record<Family, Places>> = {
  ipv4: {
    node: '192.168.50.11',
    outside: '192.168.50.12',
    gateway: '10.244.1.1',
    pod: '10.244.1.2',
    remotePod: '10.244.2.2',
  },
  ipv6: {
    node: 'fd50::11',
    outside: 'fd50::12',
    gateway: '2001:cafe:42:1::1',
    pod: '2001:cafe:42:1::2',
    remotePod: '2001:cafe:42:2::2',
  },
};

export const V4: FamilyNetwork = {
  network: [Cidr.parse('10.244.0.0/16')],
  subnet: Cidr.parse('10.244.1.0/24'),
};
export const V6: FamilyNetwork = {
  network: [Cidr.parse('2001:cafe:42::/56')],
  subnet: Cidr.parse('2001:cafe:42:1::/64'),
};

/** This namespace as a node that forwards, with a pod and another node; each answers on TCP port 80 with who asked. */
export class TrafficWorld implements AsyncDisposable {
  readonly node: PortPeer;
  readonly pod: PortPeer;
  readonly outside: PortPeer;
  readonly #namespaces: readonly NamedNetns[];

  private constructor(pod: NamedNetns, outside: NamedNetns) {
    this.#namespaces = [pod, outside];
    this.node = new PortPeer(undefined);
    this.pod = new PortPeer(pod.name);
    this.outside = new PortPeer(outside.name);
  }

  static async create(): Promise<TrafficWorld> {
    const pod = NamedNetns.create('traf');
    const outside = NamedNetns.create('traf');
    wire(pod, outside);
    const world = new TrafficWorld(pod, outside);
    await world.pod.serve('tcp', 80, 'pod');
    await world.outside.serve('tcp', 80, 'outside');
    return world;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const peer of [this.node, this.pod, this.outside]) await peer[Symbol.asyncDispose]();
    for (const link of ['eth0', 'veth0']) run(['ip', 'link', 'delete', link]);
    for (const namespace of this.#namespaces) namespace[Symbol.dispose]();
  }
}

function wire(pod: NamedNetns, outside: NamedNetns): void {
  const sysctls = [
    'net.ipv4.ip_forward=1',
    'net.ipv6.conf.all.forwarding=1',
    'net.ipv6.conf.default.accept_dad=0',
  ];
  must(['sysctl', '-q', '-w', ...sysctls]);
  must(['ip', 'link', 'set', 'lo', 'up']);
  for (const [link, there] of [
    ['eth0', outside],
    ['veth0', pod],
  ] as const) {
    there.exec(['sysctl', '-q', '-w', 'net.ipv6.conf.default.accept_dad=0']);
    there.exec(['ip', 'link', 'set', 'lo', 'up']);
    must(['ip', 'link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', there.name]);
    must(['ip', 'link', 'set', link, 'up']);
    there.exec(['ip', 'link', 'set', 'eth0', 'up']);
  }
  for (const [family, subnet, remote, length] of [
    ['ipv4', '10.244.1.0/24', '10.244.2.0/24', 24],
    ['ipv6', '2001:cafe:42:1::/64', '2001:cafe:42:2::/64', 64],
  ] as const) {
    const ip = ['ip', family === 'ipv4' ? '-4' : '-6'];
    const at = PLACES[family];
    const nodad = family === 'ipv4' ? [] : ['nodad'];
    must([...ip, 'address', 'add', `${at.node}/${length}`, 'dev', 'eth0', ...nodad]);
    must([...ip, 'address', 'add', `${at.gateway}/${length}`, 'dev', 'veth0', ...nodad]);
    must([...ip, 'route', 'add', remote, 'via', at.outside]);
    must([...ip, 'route', 'add', 'default', 'via', at.outside]);
    pod.exec([...ip, 'address', 'add', `${at.pod}/${length}`, 'dev', 'eth0', ...nodad]);
    pod.exec([...ip, 'route', 'add', 'default', 'via', at.gateway]);
    outside.exec([...ip, 'address', 'add', `${at.outside}/${length}`, 'dev', 'eth0', ...nodad]);
    outside.exec([...ip, 'address', 'add', at.remotePod, 'dev', 'lo']);
    outside.exec([...ip, 'route', 'add', subnet, 'via', at.node]);
  }
}
