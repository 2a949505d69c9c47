import { expect, test } from 'bun:test';
import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import { flannelChains } from './iptables-chain.ts';
import { judge, type Judged, type LiveChain } from './live-chains.ts';
import { flannelTables } from './nftables-table.ts';
import { ruleText } from '#nftables/text.ts';
import { parseRuleLine } from './rule-parse.ts';
import { rulesFor, trafficRules, type FamilyRules, type TrafficMode } from './rules.ts';

const SET = trafficRules({
  families: [
    {
      network: [Cidr.parse('10.244.0.0/16')],
      subnet: Cidr.parse('10.244.1.0/24'),
      overlay: { source: Ip.parse('10.244.200.1'), port: 8472 },
    },
    { network: [Cidr.parse('fd00:42::/56')], subnet: Cidr.parse('fd00:42:0:1::/64') },
  ],
  ipMasq: true,
  forward: true,
  randomFully: true,
  exclude: [Cidr.parse('10.0.0.0/8'), Cidr.parse('192.0.2.7/32'), Cidr.parse('0.0.0.0/0')],
});

function written(mode: TrafficMode, rules: FamilyRules, at: number): string[] {
  if (mode === 'iptables') return flannelChains(rules, { since162: true }).flatMap((chain) => chain.rules);
  return flannelTables(SET)[at]?.chains.flatMap((chain) => chain.rules.map(ruleText)) ?? [];
}

for (const mode of ['nftables', 'iptables'] as const) {
  test(`every rule that we write to ${mode} is read back as it was`, () => {
    for (const [at, rules] of SET.families.entries()) {
      const all = [...(rules.postrouting ?? []), ...(rules.forward ?? [])];
      const wanted = rulesFor(mode, all).map(({ match, action }) => ({ match, action }));
      expect(wanted.length).toBeGreaterThan(6);
      expect(written(mode, rules, at).map((line) => parseRuleLine(mode, line))).toEqual(wanted);
    }
  });
}

test('what is not ours is not guessed at', () => {
  for (const line of [
    '',
    'tcp dport 80 accept',
    'ip saddr 10.0.0.0/8',
    'ip saddr @set accept',
    'ip saddr 1.2.3.4 drop',
    'oifname "eth0" masquerade',
  ])
    expect(parseRuleLine('nftables', line)).toBeUndefined();
  for (const line of ['-j DROP', '-s 10.0.0.0/8 -p tcp -j ACCEPT', '-s x -j ACCEPT', '-s 10.0.0.0/8'])
    expect(parseRuleLine('iptables', line)).toBeUndefined();
});

test('counters and comments of people change nothing', () => {
  const rule = parseRuleLine(
    'nftables',
    'ip saddr 10.0.0.0/8 counter packets 3 bytes 252 accept comment "mine"',
  );
  expect(rule).toMatchObject({ action: 'accept', match: { source: { not: false } } });
});

const POSTROUTING: LiveChain = {
  mode: 'nftables',
  family: 'ipv4',
  purpose: 'postrouting',
  title: 'ip flannel-ipv4 postrtg',
  reached: true,
  rules: [
    'meta mark 0x00004000 return',
    'ip saddr 10.244.1.0/24 ip daddr 10.244.0.0/16 return',
    'tcp dport 80 drop',
    'ip saddr 10.244.0.0/16 ip daddr != 224.0.0.0/4 masquerade fully-random',
  ].map((text) => ({ text, rule: parseRuleLine('nftables', text) })),
};

test('the first rule that matches decides; strange ones before it are named', () => {
  const packet = (source: string, destination: string, mark = 0): Judged => ({
    source: Ip.parse(source),
    destination: Ip.parse(destination),
    mark,
  });
  expect(judge(POSTROUTING, packet('10.244.1.2', '10.244.2.2'))).toMatchObject({
    at: 2,
    action: 'return',
    strange: [],
  });
  expect(judge(POSTROUTING, packet('10.244.1.2', '8.8.8.8'))).toMatchObject({
    at: 4,
    action: 'masquerade fully-random',
    strange: [3],
  });
  expect(judge(POSTROUTING, packet('10.244.1.2', '8.8.8.8', 0x4000))).toMatchObject({
    at: 1,
    action: 'return',
  });
  expect(judge(POSTROUTING, packet('10.244.1.2', '224.0.0.5'))).toMatchObject({
    at: undefined,
    action: undefined,
    strange: [3],
  });
});
