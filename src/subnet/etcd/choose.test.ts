import { describe, expect, test } from 'bun:test';
import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import { type NetworkConfig, parseNetworkConfig } from '../config.ts';
import { type ChooseFrom, chooseSubnets, fits } from './choose.ts';
import { type Entry, entryOf } from './entry.ts';

const PREFIX = '/n/subnets/';

function configOf(fields: Record<string, unknown>): NetworkConfig {
  return parseNetworkConfig(JSON.stringify(fields), { source: 'test', manager: 'etcd' }).config;
}

const config = configOf({ Network: '10.5.0.0/16' });
const dual = configOf({ Network: '10.5.0.0/16', EnableIPv6: true, IPv6Network: 'fd05::/56' });

function entry(name: string, publicIp: string, lease = 7n): Entry {
  const value = JSON.stringify({ PublicIP: publicIp, PublicIPv6: null, BackendType: 'vxlan' });
  const made = entryOf({ key: PREFIX + name, value, lease, modRevision: 3n }, PREFIX);
  if (made === undefined) throw new Error(name);
  return made;
}

function choose(from: Partial<ChooseFrom>) {
  const publicIps = { ipv4: Ip.parse('192.0.2.1') };
  return chooseSubnets({ config, entries: [], publicIps, previous: {}, random: () => 0, ...from });
}

const subnets = (from: Partial<ChooseFrom>) => {
  const choice = choose(from);
  return choice.kind === 'create' ? Object.values(choice.subnets).join(' ') : choice.kind;
};

test('first the lease with our public address, whatever subnet.env says', () => {
  const ours = entry('10.5.9.0-24', '192.0.2.1');
  const entries = [entry('10.5.8.0-24', '192.0.2.2'), ours];
  const previous = { ipv4: Cidr.parse('10.5.7.0/24') };
  expect(choose({ entries, previous })).toEqual({ kind: 'adopt', entry: ours });
});

test('a lease of ours that does not fit the configuration goes; a reservation stays', () => {
  const short = entry('10.5.9.0-25', '192.0.2.1');
  expect(choose({ entries: [short] })).toEqual({ kind: 'drop', entry: short });
  expect(subnets({ entries: [entry('10.5.9.0-25', '192.0.2.1', 0n)] })).toBe('10.5.1.0/24');
});

describe('the previous subnet', () => {
  const previous = { ipv4: Cidr.parse('10.5.77.0/24') };
  test('is taken when it is free', () => {
    expect(subnets({ previous })).toBe('10.5.77.0/24');
  });
  test('is not when another node has it, or a part of it', () => {
    expect(subnets({ previous, entries: [entry('10.5.77.0-24', '192.0.2.2')] })).toBe('10.5.1.0/24');
    expect(subnets({ previous, entries: [entry('10.5.77.128-25', '192.0.2.2')] })).toBe('10.5.1.0/24');
  });
  test.each(['10.6.1.0/24', '10.5.0.0/24', '10.5.77.0/25'])('is not when it does not fit: %s', (text) => {
    expect(subnets({ previous: { ipv4: Cidr.parse(text) } })).toBe('10.5.1.0/24');
  });
  test('is not when a family is missing', () => {
    expect(subnets({ config: dual, previous })).toBe('10.5.1.0/24 fd05:0:0:1::/64');
  });
});

describe('a new one', () => {
  test('is one of the first hundred free ones, by chance', () => {
    expect(subnets({ random: () => 0.999 })).toBe('10.5.100.0/24');
    const entries = Array.from({ length: 50 }, (_, i) => entry(`10.5.${i + 1}.0-24`, '192.0.2.2'));
    expect(subnets({ entries })).toBe('10.5.51.0/24');
    expect(subnets({ entries, random: () => 0.999 })).toBe('10.5.150.0/24');
  });
  test('keeps away from larger and smaller leases, and from those whose value cannot be read', () => {
    const broken = entryOf({ key: `${PREFIX}10.5.3.0-24`, value: '{', lease: 1n, modRevision: 1n }, PREFIX);
    const entries = [entry('10.5.0.0-23', '192.0.2.2'), entry('10.5.2.64-26', '192.0.2.3')];
    expect(subnets({ entries: broken === undefined ? entries : [...entries, broken] })).toBe('10.5.4.0/24');
  });
  test('none is left: the family is named', () => {
    const small = configOf({ Network: '10.5.0.0/28' });
    const entries = ['4', '8', '12'].map((last) => entry(`10.5.0.${last}-30`, '192.0.2.2'));
    expect(choose({ config: small, entries })).toEqual({ kind: 'full', family: 'ipv4' });
    expect(subnets({ config: small, entries: entries.slice(1) })).toBe('10.5.0.4/30');
  });
});

test('what fits', () => {
  const both = { ipv4: Cidr.parse('10.5.1.0/24'), ipv6: Cidr.parse('fd05:0:0:1::/64') };
  expect(fits(both, dual)).toBe(true);
  expect(fits(both, config)).toBe(false);
  expect(fits({ ipv4: both.ipv4 }, config)).toBe(true);
  expect(fits({}, config)).toBe(false);
});
