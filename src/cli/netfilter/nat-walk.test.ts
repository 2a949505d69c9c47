import { expect, test } from 'bun:test';
import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import * as nft from '#nftables/build.ts';
import { PRIORITY, type Rule, type Table } from '#nftables/objects.ts';
import { trafficRules } from '#traffic/rules.ts';
import { flannelTables } from '#traffic/nftables-table.ts';
import type { SamplePacket } from './condition.ts';
import { masqueradingRules } from './nat-walk.ts';

const PACKET: SamplePacket = {
  from: Ip.parse('10.244.1.2'),
  to: Ip.parse('10.244.2.2'),
  iifname: 'cni0',
  oifname: 'flannel.1',
  protocol: 'tcp',
};

function table(rules: readonly Rule[], more: Readonly<Record<string, readonly Rule[]>> = {}): Table {
  return {
    family: 'ip',
    name: 't',
    chains: [
      {
        name: 'post',
        hook: { type: 'nat', point: 'postrouting', priority: PRIORITY.srcnat, policy: 'accept' },
        rules,
      },
      ...Object.entries(more).map(([name, list]) => ({ name, rules: list })),
    ],
  };
}

const hits = (rules: readonly Rule[], more?: Readonly<Record<string, readonly Rule[]>>) =>
  masqueradingRules(table(rules, more), PACKET).length;
const masq = (...conditions: readonly nft.Part[]) => nft.rule([...conditions, nft.masquerade()]);
const pods = Cidr.parse('10.244.0.0/16');

test('conditions hold or not', () => {
  expect(hits([])).toBe(0);
  expect(hits([masq()])).toBe(1);
  expect(hits([masq(nft.saddr('==', pods))])).toBe(1);
  expect(hits([masq(nft.saddr('==', Cidr.parse('10.244.0.0/15')))])).toBe(1);
  expect(hits([masq(nft.saddr('!=', pods))])).toBe(0);
  expect(hits([masq(nft.saddr('==', pods), nft.daddr('!=', pods))])).toBe(0);
  expect(hits([masq(nft.mark('==', 0x4000, 0x4000))])).toBe(0);
  expect(hits([masq(nft.dport('tcp', 80))])).toBe(1);
  expect(hits([masq(nft.dport('udp', 80))])).toBe(0);
});

test('the first verdict counts, of chains that are jumped to as well', () => {
  expect(hits([nft.rule([nft.accept]), masq()])).toBe(0);
  expect(hits([nft.rule([nft.back]), masq()])).toBe(0);
  expect(hits([nft.rule([nft.jump('inner')]), masq()], { inner: [nft.rule([nft.back])] })).toBe(1);
  expect(hits([nft.rule([nft.jump('inner')])], { inner: [masq()] })).toBe(1);
  expect(hits([nft.rule([nft.jump('gone')])])).toBe(0);
  // A ruleset of another kernel, or of nobody: it has to end.
  expect(hits([nft.rule([nft.jump('post')])])).toBe(0);
});

test('what is not understood does not hold', () => {
  expect(hits([masq([{ kind: 'other', name: 'lookup', data: new Uint8Array(0) }])])).toBe(0);
  expect(hits([masq(nft.fibDaddrLocal())])).toBe(0);
  expect(hits([nft.rule([[{ kind: 'other', name: 'target', data: Uint8Array.of(1) }]])])).toBe(0);
});

test("Flannel's own rules let pods' packets pass", () => {
  const families = [{ network: [pods], subnet: Cidr.parse('10.244.1.0/24') }];
  const rules = trafficRules({ families, ipMasq: true, forward: true, randomFully: true });
  const [own] = flannelTables(rules);
  if (own === undefined) throw new Error('no table');
  expect(masqueradingRules(own, PACKET)).toEqual([]);
  expect(masqueradingRules(own, { ...PACKET, to: Ip.parse('192.0.2.1'), oifname: 'eth0' })).toHaveLength(1);
});
