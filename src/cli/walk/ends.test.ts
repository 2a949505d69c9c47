import { expect, test } from 'bun:test';
import { cureOf } from '#base/errors.ts';
import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import type { Pod } from '#daemon/inspect/pods.ts';
import { findEnds, type Surroundings } from './ends.ts';

const pod = (container: string, ...addresses: string[]) =>
  ({ container, addresses: addresses.map((text) => Ip.parse(text)) }) as unknown as Pod;

const AROUND: Surroundings = {
  node: 'n1',
  addresses: ['192.168.50.11', '10.244.1.1', 'fd50::11'].map((text) => Ip.parse(text)),
  subnets: [Cidr.parse('10.244.1.0/24')],
  pods: [pod('abc123', '10.244.1.2', 'fd00::2'), pod('abd456', '10.244.1.3')],
  peers: new Map([
    ['n2', [Ip.parse('192.168.50.12')]],
    ['n6', [Ip.parse('fd50::16')]],
    ['n9', []],
  ]),
  peerOf: () => undefined,
  plannedFor: () => [],
  plannedRoute: () => undefined,
  isNobodys: () => false,
  vxlanPort: 8472,
};

function ends(from: string, to: string): string {
  try {
    const { source, destination, start } = findEnds(from, to, AROUND);
    return `${source} ${destination} ${start}`;
  } catch (error) {
    return `${error instanceof Error ? error.message : error}; ${cureOf(error)}`;
  }
}

test('ends are addresses, beginnings of container ids, and nodes, in a family that both have', () => {
  expect(ends('abc', 'n2')).toBe('10.244.1.2 192.168.50.12 pod');
  expect(ends('abc', 'n6')).toBe('fd00::2 fd50::16 pod');
  expect(ends('n1', '10.244.2.7')).toBe('192.168.50.11 10.244.2.7 node');
  expect(ends('n2', 'abd')).toBe('192.168.50.12 10.244.1.3 elsewhere');
  expect(ends('10.244.1.77', 'abd456')).toBe('10.244.1.77 10.244.1.3 pod');
  expect(ends('10.244.2.7', 'n1')).toBe('10.244.2.7 192.168.50.11 elsewhere');
});

test('what is no end is told with what there is', () => {
  expect(ends('ab', '10.244.2.7')).toBe('"ab" is the beginning of 2 container ids; Give more of it');
  expect(ends('n3', 'abc')).toContain('is no address, no container of this node and no node; did you mean n');
  expect(ends('', 'abc')).toContain('is no address');
  expect(ends('abc', 'n9')).toContain('nothing is planned for the peer n9');
  expect(ends('abd', 'n6')).toContain('no address of the same family');
  expect(ends('abc', '10.244.1.2')).toBe('a walk needs two different ends; undefined');
  expect(ends('10.244.2.1', '10.244.3.1')).toContain('neither 10.244.2.1 nor 10.244.3.1 is on this node');
});
