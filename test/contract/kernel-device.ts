import { expect } from 'bun:test';
import type { ErrnoError } from '#base/errors.ts';
import type { HostLink, KernelOp, KernelPort } from '#host/kernel.ts';
import type { Entry, VxlanLink } from '#host/plan.ts';
import { Cidr } from '#net/cidr.ts';
import type { Family } from '#net/family.ts';
import { Ip } from '#net/ip.ts';
import { Mac } from '#net/mac.ts';

/** A kernel with one plain device `eth0`, up; fresh for every test. */
export type Make = () => KernelPort;

export interface Values {
  readonly local: Ip;
  readonly gateway: Ip;
  readonly otherGateway: Ip;
  readonly subnet: Cidr;
  readonly address: Cidr;
  readonly peer: Ip;
  readonly otherPeer: Ip;
}

export const VALUES: Readonly<Record<Family, Values>> = {
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

export const MAC = Mac.parse('12:c6:65:89:b4:e3');
export const OTHER_MAC = Mac.parse('12:c6:65:89:b4:e4');

export function vxlan(family: Family, change: Partial<VxlanLink> = {}): VxlanLink {
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

export const UP: KernelOp = { op: 'set-link', name: 'flannel.1', up: true };
export const create = (link: VxlanLink): KernelOp => ({ op: 'create-vxlan', link });
export const put = (entry: Entry): KernelOp => ({ op: 'put', entry });
export const remove = (entry: Entry): KernelOp => ({ op: 'remove', entry });

export function codes(results: readonly (ErrnoError | undefined)[]): (string | undefined)[] {
  return results.map((error) => error?.code);
}

export function link(kernel: KernelPort, name: string): HostLink {
  const found = kernel.links().find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`link ${name} is missing`);
  return found;
}

/** A kernel with `flannel.1` up. */
export function withDevice(make: Make, family: Family): { kernel: KernelPort; index: number } {
  const kernel = make();
  expect(codes(kernel.apply([create(vxlan(family)), UP]))).toEqual([undefined, undefined]);
  return { kernel, index: link(kernel, 'flannel.1').index };
}
