import { describe, expect, test } from 'bun:test';
import type { ErrnoError } from '#base/errors.ts';
import { hasDefaultPriority } from '#host/entries.ts';
import { FakeKernel } from '#host/fake-kernel.ts';
import type { HostLink, KernelOp, KernelPort } from '#host/kernel.ts';
import { NetlinkKernel } from '#host/netlink-kernel.ts';
import type { Entry, RouteEntry, VxlanLink } from '#host/plan.ts';
import { Cidr } from '#net/cidr.ts';
import type { Family } from '#net/family.ts';
import { Ip } from '#net/ip.ts';
import { Mac } from '#net/mac.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import { describeInNetns, must, run } from '../support/netns.ts';

/** A kernel with one plain device `eth0`, up; fresh for every test. */
type Make = () => KernelPort;

interface Values {
  readonly local: Ip;
  readonly gateway: Ip;
  readonly otherGateway: Ip;
  readonly subnet: Cidr;
  readonly address: Cidr;
  readonly peer: Ip;
  readonly otherPeer: Ip;
}

const VALUES: Readonly<Record<Family, Values>> = {
  ipv4: {
    local: Ip.parse('192.168.50.11'),
    gateway: Ip.parse('10.244.2.0'),
    otherGateway: Ip.parse('10.244.2.7'),
    subnet: Cidr.parse('10.244.2.0/24'),
    address: Cidr.parse('10.244.1.0/32'),
    peer: Ip.parse('192.168.50.12'),
    otherPeer: Ip.parse('192.168.50.13'),
  },
  ipv6: {
    local: Ip.parse('fd50::11'),
    gateway: Ip.parse('2001:cafe:42:2::'),
    otherGateway: Ip.parse('2001:cafe:42:2::7'),
    subnet: Cidr.parse('2001:cafe:42:2::/64'),
    address: Cidr.parse('2001:cafe:42:1::/128'),
    peer: Ip.parse('fd50::12'),
    otherPeer: Ip.parse('fd50::13'),
  },
};

const MAC = Mac.parse('12:c6:65:89:b4:e3');
const OTHER_MAC = Mac.parse('12:c6:65:89:b4:e4');

function vxlan(family: Family, change: Partial<VxlanLink> = {}): VxlanLink {
  return {
    name: 'flannel.1',
    vni: 1,
    port: 8472,
    local: VALUES[family].local,
    parent: 'eth0',
    learning: false,
    gbp: false,
    mtu: 1430,
    mac: MAC,
    addresses: [],
    ...change,
  };
}

const UP: KernelOp = { op: 'set-link', name: 'flannel.1', up: true };
const create = (link: VxlanLink): KernelOp => ({ op: 'create-vxlan', link });
const put = (entry: Entry): KernelOp => ({ op: 'put', entry });
const remove = (entry: Entry): KernelOp => ({ op: 'remove', entry });

function codes(results: readonly (ErrnoError | undefined)[]): (string | undefined)[] {
  return results.map((error) => error?.code);
}

function link(kernel: KernelPort, name: string): HostLink {
  const found = kernel.links().find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`link ${name} is missing`);
  return found;
}

/** A kernel with `flannel.1` up. */
function withDevice(make: Make, family: Family): { kernel: KernelPort; index: number } {
  const kernel = make();
  expect(codes(kernel.apply([create(vxlan(family)), UP]))).toEqual([undefined, undefined]);
  return { kernel, index: link(kernel, 'flannel.1').index };
}

function linkContract(make: Make, family: Family): void {
  test('a VXLAN device is made as asked for, down, and reads back the same', () => {
    const kernel = make();
    const wanted = vxlan(family, { learning: true, gbp: true, port: 4789, vni: 0xfffffe });
    expect(codes(kernel.apply([create(wanted)]))).toEqual([undefined]);
    const found = link(kernel, 'flannel.1');
    expect({
      ...found,
      mac: String(found.mac),
      vxlan: { ...found.vxlan, local: String(found.vxlan?.local) },
    }).toEqual({
      index: found.index,
      name: 'flannel.1',
      kind: 'vxlan',
      mtu: 1430,
      mac: String(MAC),
      up: false,
      vxlan: {
        vni: 0xfffffe,
        port: 4789,
        local: String(wanted.local),
        parent: link(kernel, 'eth0').index,
        learning: true,
        gbp: true,
      },
    });
    kernel.settleLink('flannel.1');
  });

  test('a name or a VNI that is taken, and a parent that is not there, are told apart', () => {
    const { kernel } = withDevice(make, family);
    const other: Family = family === 'ipv4' ? 'ipv6' : 'ipv4';
    const results = kernel.apply([
      create(vxlan(family, { vni: 2 })),
      create(vxlan(family, { name: 'other' })),
      create(vxlan(family, { name: 'lost', vni: 3, parent: 'eth7' })),
      create(vxlan(other, { name: 'flannel-v6.1' })),
      create(vxlan(family, { name: 'another', vni: 4 })),
    ]);
    expect(codes(results)).toEqual(['EEXIST', 'EEXIST', 'ENODEV', undefined, undefined]);
    const names = kernel.links().map(({ name }) => name);
    expect(names).toContain('flannel-v6.1');
    expect(names).not.toContain('other');
    expect(names).not.toContain('lost');
  });

  test('MTU, MAC and state change, one by one and together', () => {
    const { kernel, index } = withDevice(make, family);
    expect(codes(kernel.apply([{ op: 'set-link', name: 'flannel.1', mtu: 1400 }]))).toEqual([undefined]);
    expect(link(kernel, 'flannel.1')).toMatchObject({ mtu: 1400, up: true, index });
    const both: KernelOp = { op: 'set-link', name: 'flannel.1', mtu: 1410, mac: OTHER_MAC };
    expect(codes(kernel.apply([both, { op: 'set-link', name: 'none', mtu: 1400 }]))).toEqual([
      undefined,
      'ENODEV',
    ]);
    const found = link(kernel, 'flannel.1');
    expect([found.mtu, String(found.mac), found.up]).toEqual([1410, String(OTHER_MAC), true]);
  });

  test('a link that goes takes everything along; a second time it is not there', () => {
    const { kernel, index } = withDevice(make, family);
    const { gateway, subnet, peer } = VALUES[family];
    const route: RouteEntry = { type: 'route', link: 'flannel.1', dst: subnet, gateway, onlink: true };
    kernel.apply([
      put({ type: 'neighbour', link: 'flannel.1', ip: gateway, mac: MAC }),
      put({ type: 'fdb', link: 'flannel.1', mac: MAC, dst: peer }),
      put(route),
    ]);
    expect(kernel.routes(family, index).some(({ dst }) => dst?.equals(subnet))).toBe(true);
    const gone: KernelOp = { op: 'delete-link', name: 'flannel.1' };
    expect(codes(kernel.apply([gone, gone]))).toEqual([undefined, 'ENODEV']);
    expect(kernel.links().map(({ name }) => name)).not.toContain('flannel.1');
    expect(kernel.routes(family).some(({ dst }) => dst?.equals(subnet))).toBe(false);
    expect(codes(kernel.apply([put(route)]))).toEqual(['ENODEV']);
  });

  test('made anew under the same name in one go: what follows is for the new one', () => {
    const { kernel, index } = withDevice(make, family);
    const { address } = VALUES[family];
    const results = kernel.apply([
      { op: 'delete-link', name: 'flannel.1' },
      create(vxlan(family, { mtu: 1420 })),
      UP,
      { op: 'add-address', link: 'flannel.1', cidr: address },
    ]);
    expect(codes(results)).toEqual([undefined, undefined, undefined, undefined]);
    const fresh = link(kernel, 'flannel.1');
    expect(fresh.index).not.toBe(index);
    expect(fresh).toMatchObject({ mtu: 1420, up: true });
    expect(kernel.addresses(fresh.index).some(({ cidr }) => cidr.equals(address))).toBe(true);
  });
}

function entryContract(make: Make, family: Family): void {
  const { gateway, otherGateway, subnet, address, peer, otherPeer } = VALUES[family];
  const missing = { link: 'none' };

  test('addresses', () => {
    const { kernel, index } = withDevice(make, family);
    const add: KernelOp = { op: 'add-address', link: 'flannel.1', cidr: address };
    const drop: KernelOp = { op: 'delete-address', link: 'flannel.1', cidr: address };
    expect(codes(kernel.apply([add, add, { ...add, ...missing }]))).toEqual([undefined, 'EEXIST', 'ENODEV']);
    const global = () => kernel.addresses(index).filter(({ scope }) => scope === 0);
    expect(global().map(({ link: at, cidr }) => [at, String(cidr)])).toEqual([[index, String(address)]]);
    expect(kernel.addresses(link(kernel, 'eth0').index).some(({ cidr }) => cidr.equals(address))).toBe(false);
    expect(codes(kernel.apply([drop, drop, { ...drop, ...missing }]))).toEqual([
      undefined,
      'EADDRNOTAVAIL',
      'ENODEV',
    ]);
    expect(global()).toEqual([]);
  });

  test('neighbours: put adds and replaces', () => {
    const { kernel, index } = withDevice(make, family);
    const entry = { type: 'neighbour', link: 'flannel.1', ip: gateway, mac: MAC } as const;
    const read = () =>
      kernel
        .neighbours(index, family)
        .filter(({ permanent }) => permanent)
        .map(({ ip, mac }) => `${ip} ${mac}`);
    expect(codes(kernel.apply([put(entry), put(entry), put({ ...entry, ...missing })]))).toEqual([
      undefined,
      undefined,
      'ENODEV',
    ]);
    expect(read()).toEqual([`${gateway} ${MAC}`]);
    kernel.apply([put({ ...entry, mac: OTHER_MAC })]);
    expect(read()).toEqual([`${gateway} ${OTHER_MAC}`]);
    expect(codes(kernel.apply([remove(entry), remove(entry)]))).toEqual([undefined, 'ENOENT']);
    expect(read()).toEqual([]);
  });

  test('FDB: put adds and replaces; what is removed must match', () => {
    const { kernel, index } = withDevice(make, family);
    const entry = { type: 'fdb', link: 'flannel.1', mac: OTHER_MAC, dst: peer } as const;
    const read = () =>
      kernel
        .fdb(index)
        .filter(({ permanent }) => permanent)
        .map(({ mac, dst }) => `${mac} ${dst}`);
    expect(codes(kernel.apply([put(entry), put(entry), put({ ...entry, ...missing })]))).toEqual([
      undefined,
      undefined,
      'ENODEV',
    ]);
    expect(read()).toEqual([`${OTHER_MAC} ${peer}`]);
    const moved = { ...entry, dst: otherPeer };
    kernel.apply([put(moved)]);
    expect(read()).toEqual([`${OTHER_MAC} ${otherPeer}`]);
    kernel.apply([remove(entry)]);
    expect(read()).toEqual([`${OTHER_MAC} ${otherPeer}`]);
    expect(codes(kernel.apply([remove(moved), remove(moved)]))).toEqual([undefined, 'ENOENT']);
    expect(read()).toEqual([]);
  });

  test('routes: put adds and replaces, also from another link; what is removed must match', () => {
    const { kernel, index } = withDevice(make, family);
    const eth0 = link(kernel, 'eth0').index;
    const entry = { type: 'route', link: 'flannel.1', dst: subnet, gateway, onlink: true } as const;
    const read = (at: number) =>
      kernel
        .routes(family, at)
        .filter(({ byKernel }) => !byKernel)
        .map(
          (route) =>
            `${route.dst} ${route.gateway} ${route.onlink} ${hasDefaultPriority(family, route.priority)}`,
        );
    expect(codes(kernel.apply([put({ ...entry, link: 'eth0' })]))).toEqual([undefined]);
    expect(read(eth0)).toEqual([`${subnet} ${gateway} true true`]);
    expect(codes(kernel.apply([put(entry), put(entry), put({ ...entry, ...missing })]))).toEqual([
      undefined,
      undefined,
      'ENODEV',
    ]);
    expect(read(eth0)).toEqual([]);
    expect(read(index)).toEqual([`${subnet} ${gateway} true true`]);
    const moved = { ...entry, gateway: otherGateway };
    kernel.apply([put(moved)]);
    expect(read(index)).toEqual([`${subnet} ${otherGateway} true true`]);
    expect(kernel.routes(family).filter(({ dst }) => dst?.equals(subnet))).toHaveLength(1);
    expect(codes(kernel.apply([remove(entry), remove(moved), remove(moved)]))).toEqual([
      'ESRCH',
      undefined,
      'ESRCH',
    ]);
    expect(read(index)).toEqual([]);
  });

  test('a route needs its link up', () => {
    const kernel = make();
    const route: RouteEntry = { type: 'route', link: 'flannel.1', dst: subnet, gateway, onlink: true };
    expect(codes(kernel.apply([create(vxlan(family)), put(route)]))).toEqual([undefined, 'ENETDOWN']);
  });

  test('one refusal does not stop the others', () => {
    const { kernel, index } = withDevice(make, family);
    const wrong = { type: 'neighbour', link: 'none', ip: gateway, mac: MAC } as const;
    const results = kernel.apply([
      put({ ...wrong, link: 'flannel.1' }),
      put(wrong),
      remove({ type: 'fdb', link: 'flannel.1', mac: MAC, dst: peer }),
      put({ type: 'fdb', link: 'flannel.1', mac: MAC, dst: peer }),
    ]);
    expect(codes(results)).toEqual([undefined, 'ENODEV', 'ENOENT', undefined]);
    expect(kernel.fdb(index).some(({ mac }) => mac.equals(MAC))).toBe(true);
    expect(kernel.apply([])).toEqual([]);
  });
}

function kernelContract(make: Make): void {
  for (const family of ['ipv4', 'ipv6'] as const) {
    describe(family, () => {
      linkContract(make, family);
      entryContract(make, family);
    });
  }
}

describe('the kernel port, in memory', () => {
  kernelContract(() => {
    const kernel = new FakeKernel();
    kernel.addDevice('eth0');
    return kernel;
  });
});

describeInNetns(import.meta.path, 'the kernel port, over netlink', () => {
  kernelContract(() => {
    // VXLAN devices go with the device below.
    run(['ip', 'link', 'delete', 'eth0']);
    // The first address makes the kernel's table of local addresses, which IPv4 gateways are checked against.
    must(['ip', 'link', 'set', 'lo', 'up']);
    must(['ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'wire']);
    must(['ip', 'link', 'set', 'wire', 'up']);
    must(['ip', 'link', 'set', 'eth0', 'up']);
    return new NetlinkKernel(Rtnetlink.open());
  });
});
