import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { Cidr } from '#net/cidr.ts';
import { capacity, reserved } from './addresses.ts';

let dir: string;

beforeEach(() => {
  dir = mkdtempSync(`${tmpdir()}/flannel-addresses-`);
});

afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

const SUBNETS = [Cidr.parse('10.244.1.0/24'), Cidr.parse('2001:cafe:42:1::/64')];

test('what host-local can hand out', () => {
  expect(capacity(Cidr.parse('10.244.1.0/24'))).toBe(253);
  expect(capacity(Cidr.parse('10.244.1.0/30'))).toBe(1);
  expect(capacity(Cidr.parse('10.244.1.0/32'))).toBe(0);
  expect(capacity(Cidr.parse('2001:cafe:42:1::/64'))).toBe(2 ** 64 - 2);
});

test('reservations are counted by their names, in all networks, of this node only', () => {
  const files = {
    cbr0: [
      '10.244.1.2',
      '10.244.1.3',
      '2001:cafe:42:1::2',
      'last_reserved_ip.0',
      'lock',
      '.new',
      '10.244.9.2',
    ],
    other: ['10.244.1.77', '10.5.0.2'],
  };
  for (const [network, names] of Object.entries(files)) {
    mkdirSync(`${dir}/${network}/.boot`, { recursive: true });
    writeFileSync(`${dir}/${network}/.boot/10.244.1.2`, '');
    for (const name of names) writeFileSync(`${dir}/${network}/${name}`, '');
  }
  writeFileSync(`${dir}/10.244.1.200`, '');
  expect(reserved(dir, SUBNETS)).toEqual([3, 1]);
});

test('what cannot be seen is not 0', () => {
  expect(reserved('', SUBNETS)).toBeUndefined();
  expect(reserved(`${dir}/nowhere`, SUBNETS)).toBeUndefined();
  expect(reserved(dir, SUBNETS)).toEqual([0, 0]);
});
