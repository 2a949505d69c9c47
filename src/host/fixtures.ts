import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import { Mac } from '#net/mac.ts';
import { FakeKernel } from './fake-kernel.ts';
import { entryKey, type Entry, type HostPlan, type RouteEntry, type VxlanLink } from './plan.ts';

/** `flannel.1` of node 10.244.1.0/24, for tests. */
export function testLink(change: Partial<VxlanLink> = {}): VxlanLink {
  return {
    name: 'flannel.1',
    vni: 1,
    port: 8472,
    local: Ip.parse('192.168.50.11'),
    parent: 'eth0',
    learning: false,
    gbp: false,
    mtu: 1450,
    mac: Mac.parse('ce:13:be:ae:4d:53'),
    addresses: [Cidr.parse('10.244.1.0/32')],
    ...change,
  };
}

/** The entries of peer `n`: pod subnet 10.244.n.0/24, address 192.168.50.n. */
export function testPeer(n: number): Entry[] {
  const mac = testMac(n);
  const gateway = Ip.parse(`10.244.${n}.0`);
  return [
    { type: 'neighbour', link: 'flannel.1', ip: gateway, mac },
    { type: 'fdb', link: 'flannel.1', mac, dst: Ip.parse(`192.168.50.${n}`) },
    { type: 'route', link: 'flannel.1', dst: Cidr.parse(`10.244.${n}.0/24`), gateway, onlink: true },
  ];
}

/** The route of peer `n` without the overlay. */
export function testDirectRoute(n: number): RouteEntry {
  return {
    type: 'route',
    link: 'eth0',
    dst: Cidr.parse(`10.244.${n}.0/24`),
    gateway: Ip.parse(`192.168.50.${n}`),
    onlink: false,
  };
}

export function testMac(n: number): Mac {
  return Mac.parse(`02:00:00:00:00:${n.toString(16).padStart(2, '0')}`);
}

export function testPlan(entries: readonly Entry[], links: readonly VxlanLink[] = [testLink()]): HostPlan {
  return { links, blackholes: [], entries: new Map(entries.map((entry) => [entryKey(entry), entry])) };
}

/** A kernel with `eth0`. */
export function testKernel(): FakeKernel {
  const kernel = new FakeKernel();
  kernel.addDevice('eth0');
  return kernel;
}
