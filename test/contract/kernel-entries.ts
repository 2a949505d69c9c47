import { expect, test } from 'bun:test';
import { hasDefaultPriority } from '#host/entries.ts';
import type { KernelOp } from '#host/kernel.ts';
import type { RouteEntry } from '#host/plan.ts';
import type { Family } from '#net/family.ts';
import {
  type Make,
  VALUES,
  MAC,
  OTHER_MAC,
  vxlan,
  create,
  put,
  remove,
  codes,
  link,
  withDevice,
} from './kernel-device.ts';

/** Addresses, neighbours, FDB entries and routes of a device. */
export function entryContract(make: Make, family: Family): void {
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

  test('blackhole routes stand behind a route to the same destination', () => {
    const { kernel, index } = withDevice(make, family);
    const add: KernelOp = { op: 'add-blackhole', dst: subnet };
    const drop: KernelOp = { op: 'delete-blackhole', dst: subnet };
    const route: RouteEntry = { type: 'route', link: 'flannel.1', dst: subnet, gateway, onlink: true };
    expect(codes(kernel.apply([put(route), add, add]))).toEqual([undefined, undefined, undefined]);
    expect(kernel.blackholes(family).map(String)).toEqual([String(subnet)]);
    expect(kernel.routes(family, index).some(({ dst }) => dst?.equals(subnet))).toBe(true);
    expect(codes(kernel.apply([drop, drop]))).toEqual([undefined, 'ESRCH']);
    expect(kernel.blackholes(family)).toEqual([]);
    expect(kernel.routes(family, index).some(({ dst }) => dst?.equals(subnet))).toBe(true);
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
