import { expect, test } from 'bun:test';
import type { ForwardDrop } from '#nftables/objects.ts';
import { forwardDrops } from './forward-drops.ts';
import type { RuleSet } from './rules.ts';

const DROPS: readonly ForwardDrop[] = [
  { family: 'ip', table: 'filter', chain: 'FORWARD' },
  { family: 'ip6', table: 'filter', chain: 'FORWARD' },
  { family: 'inet', table: 'filter', chain: 'forward' },
  { family: 'ip', table: 'mine', chain: 'FORWARD' },
];
const nftables = { forwardDrops: () => [...DROPS] };
const both: RuleSet = {
  families: [
    { family: 'ipv4', forward: [] },
    { family: 'ipv6', forward: [] },
  ],
};
const INET = 'chain forward of table inet filter';
const MINE = 'chain FORWARD of table ip mine';

test('in nftables mode every such chain counts, in iptables mode not the one that jumps to ours', () => {
  expect(forwardDrops(nftables, both, 'nftables')).toEqual([
    'chain FORWARD of table ip filter',
    'chain FORWARD of table ip6 filter',
    INET,
    MINE,
  ]);
  expect(forwardDrops(nftables, both, 'iptables')).toEqual([INET, MINE]);
});

test('only families with forward rules count', () => {
  const six: RuleSet = { families: [{ family: 'ipv4' }, { family: 'ipv6', forward: [] }] };
  expect(forwardDrops(nftables, six, 'nftables')).toEqual(['chain FORWARD of table ip6 filter', INET]);
  expect(forwardDrops(nftables, { families: [{ family: 'ipv4' }] }, 'nftables')).toEqual([]);
});
