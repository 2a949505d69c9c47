import { expect, test } from 'bun:test';
import { Mac } from '#net/mac.ts';
import { ruleText } from '#nftables/text.ts';
import { planSpoofCheck } from './spoof-check.ts';

const owner = { network: 'cbr0', containerId: 'c1', ifName: 'eth0' };
const port = { hostEnd: 'veth0', mac: Mac.parse('02:00:00:00:00:01') };
const table = { family: 'bridge', name: 'nat' } as const;

function shown(live?: Parameters<typeof planSpoofCheck>[2], who = owner): string[] {
  return planSpoofCheck(who, port, live).map((change) => {
    if (change.do === 'add rule') return `${change.chain}: ${ruleText(change.rule)}`;
    if (change.do === 'add chain') return `${change.do} ${change.chain.name} ${change.chain.hook?.priority}`;
    if (change.do === 'delete rule') return `${change.do} ${change.chain} ${change.handle}`;
    return 'chain' in change ? `${change.do} ${change.chain}` : change.do;
  });
}

const CHAINS = ['add chain cni-br-iface-c1-eth0 undefined', 'add chain cni-br-iface-c1-eth0-mac undefined'];
const RULES = [
  'flush chain cni-br-iface-c1-eth0',
  'cni-br-iface-c1-eth0: jump cni-br-iface-c1-eth0-mac comment "macspoofchk-c1-eth0"',
  'flush chain cni-br-iface-c1-eth0-mac',
  'cni-br-iface-c1-eth0-mac: ether saddr 02:00:00:00:00:01 return comment "macspoofchk-c1-eth0"',
  'cni-br-iface-c1-eth0-mac: drop comment "macspoofchk-c1-eth0"',
  'PREROUTING: iifname "veth0" jump cni-br-iface-c1-eth0 comment "macspoofchk-c1-eth0"',
];

test('chains and rules of the original, in one transaction', () => {
  expect(shown()).toEqual(['add table', 'add chain PREROUTING -300', ...CHAINS, ...RULES]);
});

test('a base chain that is there stays, the jump of an earlier ADD goes', () => {
  const old = planSpoofCheck(owner, { ...port, hostEnd: 'old' }, undefined).at(-1);
  if (old?.do !== 'add rule') throw new Error('the last step is the jump');
  const other = { expressions: [{ kind: 'verdict', code: 'accept' } as const], handle: 6n };
  const chains = [{ name: 'PREROUTING', rules: [other, { ...old.rule, handle: 7n }] }];
  expect(shown({ ...table, chains })).toEqual([...CHAINS, 'delete rule PREROUTING 7', ...RULES]);
});

test('names that nft could not print are shortened', () => {
  const lines = shown(undefined, { ...owner, containerId: 'c'.repeat(200) });
  for (const line of lines) {
    const comment = /comment "(.*)"/.exec(line)?.[1] ?? '';
    expect(comment.length).toBeLessThanOrEqual(127);
  }
});
