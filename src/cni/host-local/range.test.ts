import { expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { Ip } from '#net/ip.ts';
import { readNetConf } from '../plugin.ts';
import { parseHostLocal } from './config.ts';
import { firstCandidate, parseRange, showSet, type RangeSet } from './range.ts';

const ARGS = { containerId: 'c', netns: '', ifName: 'eth0', extra: new Map<string, string>(), path: [] };

function order(set: RangeSet, last?: string): string[] {
  const offered: string[] = [];
  const taken = firstCandidate(set, last === undefined ? undefined : Ip.parse(last), ({ ip }) => {
    offered.push(ip.toString());
    return false;
  });
  expect(taken).toBeUndefined();
  return offered;
}

const SMALL = [parseRange({ subnet: '10.9.0.0/29' })];

test('a range without ends spans what can be used of its subnet', () => {
  expect(showSet(SMALL)).toBe('10.9.0.1-10.9.0.6');
  expect(showSet([parseRange({ subnet: 'fd00::/126' })])).toBe('fd00::1-fd00::3');
});

test('addresses go round from behind the last one, the gateway is left out', () => {
  expect(order(SMALL)).toEqual(['10.9.0.2', '10.9.0.3', '10.9.0.4', '10.9.0.5', '10.9.0.6']);
  expect(order(SMALL, '10.9.0.4')).toEqual(['10.9.0.5', '10.9.0.6', '10.9.0.2', '10.9.0.3', '10.9.0.4']);
  expect(order(SMALL, '10.9.0.6')).toEqual(['10.9.0.2', '10.9.0.3', '10.9.0.4', '10.9.0.5', '10.9.0.6']);
  expect(order(SMALL, '192.0.2.1')).toEqual(order(SMALL));
});

test('several ranges of a set follow each other', () => {
  const set = [
    parseRange({ subnet: '10.9.0.0/24', rangeStart: '10.9.0.10', rangeEnd: '10.9.0.11' }),
    parseRange({ subnet: '10.9.1.0/24', rangeStart: '10.9.1.1', rangeEnd: '10.9.1.2', gateway: '10.9.1.2' }),
  ];
  expect(order(set)).toEqual(['10.9.0.10', '10.9.0.11', '10.9.1.1']);
  expect(order(set, '10.9.0.10')).toEqual(['10.9.0.11', '10.9.1.1', '10.9.0.10']);
  expect(order(set, '10.9.1.1')).toEqual(['10.9.0.10', '10.9.0.11', '10.9.1.1']);
});

test('wherever it starts, every address comes once', () => {
  const set = [
    parseRange({ subnet: '10.9.0.0/28', rangeStart: '10.9.0.3' }),
    parseRange({ subnet: '10.9.1.0/29', gateway: '10.9.1.6' }),
  ];
  const all = order(set).sort();
  fc.assert(
    fc.property(fc.constantFrom(...all), (last) => {
      const round = order(set, last);
      expect(round.at(-1)).toBe(last);
      expect(round.sort()).toEqual(all);
    }),
  );
});

test('a whole IPv6 subnet is not walked through', () => {
  const first = firstCandidate([parseRange({ subnet: '2001:db8::/64' })], undefined, () => true);
  expect(first?.ip.toString()).toBe('2001:db8::2');
});

test.each([
  [{}, /subnet: undefined/],
  [{ subnet: '10.9.0.1/24' }, /host bits set/],
  [{ subnet: '10.9.0.0/31' }, /too small/],
  [{ subnet: '10.9.0.0/24', rangeStart: '10.8.0.1' }, /rangeStart 10.8.0.1 is not in subnet/],
  [{ subnet: '10.9.0.0/24', rangeStart: '10.9.0.9', rangeEnd: '10.9.0.8' }, /behind rangeEnd/],
  [{ subnet: '10.9.0.0/24', gateway: 'fd00::1' }, /gateway/],
  [{ subnet: '10.9.0.0/24', rangeEnd: 'x' }, /rangeEnd: "x"/],
])('a bad range is refused: %j', (object, message) => {
  expect(() => parseRange(object)).toThrow(message);
});

function config(ipam: object, extra: object = {}) {
  return parseHostLocal(readNetConf({ cniVersion: '1.0.0', name: 'n', ipam, ...extra }), ARGS);
}

test('ranges come from runtimeConfig, from the old flat form and from ranges, in this order', () => {
  const { ranges, storeDir } = config(
    { subnet: '10.2.0.0/24', ranges: [[{ subnet: '10.3.0.0/24' }]], dataDir: '/d' },
    { runtimeConfig: { ipRanges: [[{ subnet: '10.1.0.0/24' }]] } },
  );
  expect(ranges.map((set) => set[0]?.subnet.toString())).toEqual([
    '10.1.0.0/24',
    '10.2.0.0/24',
    '10.3.0.0/24',
  ]);
  expect(storeDir).toBe('/d/n');
});

test('requested addresses come from all three places, once each', () => {
  const { requested } = parseHostLocal(
    readNetConf({
      name: 'n',
      ipam: { subnet: '10.2.0.0/24' },
      args: { cni: { ips: ['10.2.0.9/24'] } },
      runtimeConfig: { ips: ['10.2.0.9', 'fd00::1'] },
    }),
    { ...ARGS, extra: new Map([['IP', '10.2.0.7']]) },
  );
  expect(requested.join(' ')).toBe('10.2.0.7 10.2.0.9 fd00::1');
});

test.each([
  [{}, /no IP ranges/],
  [{ ranges: [[]] }, /ranges\[0\]/],
  [{ ranges: [[{ subnet: '10.1.0.0/24' }], [{ subnet: '10.1.0.0/16' }]] }, /overlap/],
  [{ ranges: [[{ subnet: '10.1.0.0/24' }, { subnet: 'fd00::/64' }]] }, /mixes/],
])('bad range sets are refused: %j', (ipam, message) => {
  expect(() => config(ipam)).toThrow(message);
});

test('versions with one address per family refuse a second', () => {
  const ipam = { ranges: [[{ subnet: '10.1.0.0/24' }], [{ subnet: '10.2.0.0/24' }]] };
  expect(() => config(ipam, { cniVersion: '0.2.0' })).toThrow(/more than one address per family/);
});
