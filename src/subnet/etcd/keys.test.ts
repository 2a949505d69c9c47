import { expect, test } from 'bun:test';
import { Cidr } from '#net/cidr.ts';
import { normalPrefix, parseSubnetName, subnetName } from './keys.ts';

const v4 = Cidr.parse('10.5.52.0/24');
const v6 = Cidr.parse('2001:cafe:42:1::/64');

// Recorded from the original (test/fixtures/etcd), but for IPv6 alone: pkg/subnet/subnet.go, MakeSubnetKey.
test.each([
  [{ ipv4: v4 }, '10.5.52.0-24'],
  [{ ipv4: v4, ipv6: v6 }, '10.5.52.0-24&2001:cafe:42:1::-64'],
  [{ ipv6: v6 }, '0.0.0.0-0&2001:cafe:42:1::-64'],
])('a key names its subnets %#', (subnets, name) => {
  expect(subnetName(subnets)).toBe(name);
  expect(subnetName(parseSubnetName(name) ?? {})).toBe(name);
});

test.each([
  '',
  '10.5.52.0',
  '10.5.52.1-24',
  '10.5.52.0-33',
  '10.5.52.0-24&',
  '10.5.52.0-24&2001:cafe:42:1::1-64',
  '10.5.52.0-24/x',
  '0.0.0.0-0',
  '10.5.0-24',
  '10.5.52.0-24&10.5.53.0-24',
  ' 10.5.52.0-24',
  '10.5.52.0-24\n',
])('no subnet: %j', (name) => {
  expect(parseSubnetName(name)).toBeUndefined();
});

test('the prefix as the original joins it', () => {
  expect(normalPrefix('/coreos.com/network')).toBe('/coreos.com/network');
  expect(normalPrefix('//coreos.com//network/')).toBe('/coreos.com/network');
});
