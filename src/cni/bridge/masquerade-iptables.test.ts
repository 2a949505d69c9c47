import { expect, test } from 'bun:test';
import { Cidr } from '#net/cidr.ts';
import { planCollection, planMasquerade } from './masquerade-iptables.ts';

const owner = { network: 'cbr0', containerId: 'c1' };
const COMMENT = String.raw`-m comment --comment "name: \"cbr0\" id: \"c1\""`;
/** `printf cbr0c1 | sha512sum | cut -c-24` behind the prefix. */
const CHAIN = `CNI-${new Bun.CryptoHasher('sha512').update('cbr0c1').digest('hex').slice(0, 24)}`;
const NONE = new Map<string, readonly string[]>();
const RULES = [
  `:${CHAIN} - [0:0]`,
  `-A ${CHAIN} -d 10.1.0.0/24 ${COMMENT} -j ACCEPT`,
  `-A ${CHAIN} ! -d 224.0.0.0/4 ${COMMENT} -j MASQUERADE`,
  `-A POSTROUTING -s 10.1.0.2/32 ${COMMENT} -j ${CHAIN}`,
];

test('a chain of the container: its subnet, then everything but multicast', () => {
  expect(planMasquerade(owner, [Cidr.parse('10.1.0.2/24')], NONE)).toEqual(RULES);
});

test('an earlier jump goes, whatever its address; others stay', () => {
  const old = `-s 10.1.0.9/32 ${COMMENT} -j ${CHAIN}`;
  const live = new Map([
    ['POSTROUTING', ['-j OTHER', old]],
    [CHAIN, [`! -d 224.0.0.0/4 ${COMMENT} -j MASQUERADE`]],
  ]);
  expect(planMasquerade(owner, [Cidr.parse('10.1.0.2/24')], live)).toEqual([
    `-D POSTROUTING ${old}`,
    ...RULES,
  ]);
});

test('all subnets of the pod come before the rule that takes the rest', () => {
  const addresses = ['10.1.0.2/24', '10.2.0.2/24', '10.1.0.3/24'].map((text) => Cidr.parse(text));
  const lines = planMasquerade(owner, addresses, NONE);
  expect(lines.map((line) => / (?:! )?-[ds] (\S+)/.exec(line)?.[1])).toEqual([
    undefined,
    '10.1.0.0/24',
    '10.2.0.0/24',
    '224.0.0.0/4',
    '10.1.0.2/32',
    '10.2.0.2/32',
    '10.1.0.3/32',
  ]);
});

test('GC takes the network’s dead containers and believes no comment that the chain’s name does not confirm', () => {
  const jump = `-s 10.1.0.2/32 ${COMMENT} -j ${CHAIN}`;
  const forged = `-s 10.1.0.3/32 ${COMMENT} -j KUBE-SERVICES`;
  const foreign = jump.replace('cbr0', 'other');
  const live = new Map([
    ['POSTROUTING', [jump, forged, foreign]],
    [CHAIN, ['-j ACCEPT']],
    ['KUBE-SERVICES', []],
  ]);
  expect(planCollection('cbr0', new Set(['c1']), live)).toEqual([]);
  expect(planCollection('other', new Set(), live)).toEqual([]);
  expect(planCollection('cbr0', new Set(['c2']), live)).toEqual([
    `-D POSTROUTING ${jump}`,
    `-D POSTROUTING ${foreign}`,
    `-F ${CHAIN}`,
    `-X ${CHAIN}`,
  ]);
});
