import { expect, test } from 'bun:test';
import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import * as nft from '#nftables/build.ts';
import { PRIORITY, type Rule, type Table } from '#nftables/objects.ts';
import { translatingChain } from './service.ts';

const SERVICE = Ip.parse('10.96.0.10');

function tables(rule: Rule, point: 'prerouting' | 'postrouting' = 'prerouting'): Table[] {
  return [
    {
      family: 'ip',
      name: 'nat',
      chains: [
        {
          name: 'base',
          hook: { type: 'nat', point, priority: PRIORITY.dstnat, policy: 'accept' },
          rules: [nft.rule([nft.jump('services')])],
        },
        { name: 'services', rules: [rule] },
      ],
    },
  ];
}

const to = (text: string) => nft.daddr('==', Cidr.parse(text));
const dnat = nft.dnat(Ip.parse('10.244.3.2'), 8080);

test('a rule that translates just this address is a service', () => {
  const chain = 'chain services of table ip nat';
  const rule = (text: string) => nft.rule([to(text), nft.dport('tcp', 80), dnat]);
  expect(translatingChain(tables(rule('10.96.0.10/32')), SERVICE)).toBe(chain);
  expect(translatingChain(tables(nft.rule([to('10.96.0.10/32'), nft.jump('x')])), SERVICE)).toBe(chain);
  expect(translatingChain(tables(rule('10.96.0.11/32')), SERVICE)).toBeUndefined();
  expect(translatingChain(tables(rule('10.96.0.0/16')), SERVICE)).toBeUndefined();
  expect(translatingChain(tables(rule('10.96.0.10/32'), 'postrouting'), SERVICE)).toBeUndefined();
  expect(translatingChain(tables(nft.rule([to('10.96.0.10/32'), nft.accept])), SERVICE)).toBeUndefined();
  const from = nft.rule([nft.saddr('==', Cidr.parse('10.96.0.10/32')), dnat]);
  expect(translatingChain(tables(from), SERVICE)).toBeUndefined();
});
