import { expect, test } from 'bun:test';
import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import * as nft from '#nftables/build.ts';
import { PRIORITY, type Rule, type Table } from '#nftables/objects.ts';
import type { SamplePacket } from './condition.ts';
import { forwardDangers } from './forward-walk.ts';

const PACKET: SamplePacket = {
  from: Ip.parse('10.244.1.2'),
  to: Ip.parse('10.244.2.2'),
  iifname: 'cni0',
  oifname: 'flannel.1',
};

const pods = Cidr.parse('10.244.0.0/16');
const other = (name: string, data = new Uint8Array(0)): nft.Part => [{ kind: 'other', name, data }];
const drop = nft.rule([nft.drop]);
const accept = nft.rule([nft.accept]);

interface Options {
  readonly policy?: 'accept' | 'drop';
  readonly more?: Readonly<Record<string, readonly Rule[]>>;
  readonly dormant?: boolean;
}

/** `policy`, `rule` (its number from 0, in any chain), with `?` when that is not certain; nothing when it comes through. */
function end(rules: readonly Rule[], { policy = 'accept', more = {}, dormant }: Options = {}): string {
  const chains = [
    {
      name: 'FORWARD',
      hook: { type: 'filter', point: 'forward', priority: PRIORITY.filter, policy },
      rules,
    } as const,
    ...Object.entries(more).map(([name, list]) => ({ name, rules: list })),
  ];
  const table: Table = { family: 'ip', name: 'filter', chains, dormant };
  const all = chains.flatMap((chain) => chain.rules);
  return forwardDangers(table, PACKET)
    .map(({ rule, certain }) => {
      const what = rule === undefined ? 'policy' : `rule ${all.indexOf(rule)}`;
      return `${what}${certain ? '' : '?'}`;
    })
    .join();
}

test('a rule that drops, and the policy', () => {
  expect(end([])).toBe('');
  expect(end([], { policy: 'drop' })).toBe('policy');
  expect(end([drop], { dormant: true })).toBe('');
  expect(end([accept, drop], { policy: 'drop' })).toBe('');
  expect(end([nft.rule([nft.daddr('==', pods), nft.drop])])).toBe('rule 0');
  expect(end([nft.rule([nft.daddr('!=', pods), nft.drop])])).toBe('');
  expect(end([nft.rule([nft.saddr('==', pods), nft.accept])], { policy: 'drop' })).toBe('');
  expect(end([nft.rule([other('reject')])])).toBe('rule 0');
  expect(end([nft.rule([other('log')]), nft.rule([other('log'), nft.drop])])).toBe('rule 1');
});

test('chains that are jumped to', () => {
  const jump = nft.rule([nft.jump('inner')]);
  expect(end([jump, drop], { more: { inner: [accept] } })).toBe('');
  expect(end([jump], { policy: 'drop', more: { inner: [nft.rule([nft.back]), accept] } })).toBe('policy');
  expect(end([nft.rule([nft.goTo('inner')]), accept], { policy: 'drop', more: { inner: [] } })).toBe(
    'policy',
  );
  expect(end([nft.rule([nft.jump('FORWARD')])], { policy: 'drop' })).toBe('policy');
});

test('a new connection is neither established nor related', () => {
  // NFTA_CT_DREG 1 is register 8, NFTA_CT_KEY 2 is 0: the state.
  const state = other('ct', Uint8Array.of(8, 0, 1, 0, 0, 0, 0, 8, 8, 0, 2, 0, 0, 0, 0, 0));
  const isIn = (mask: number): nft.Part => [
    ...state,
    {
      kind: 'bitwise',
      source: 8,
      target: 8,
      mask: Uint8Array.of(mask, 0, 0, 0),
      xor: new Uint8Array(4),
    },
    { kind: 'cmp', op: '!=', register: 8, value: new Uint8Array(4) },
  ];
  expect(end([nft.rule([isIn(6), nft.accept])], { policy: 'drop' })).toBe('policy');
  expect(end([nft.rule([isIn(8), nft.accept])], { policy: 'drop' })).toBe('');
});

test('what nobody can judge may let it through, and drops nothing for certain', () => {
  const lookup = other('lookup');
  expect(end([nft.rule([lookup, nft.accept])], { policy: 'drop' })).toBe('policy?');
  expect(end([nft.rule([lookup, nft.drop])], { policy: 'drop' })).toBe('policy');
  expect(end([nft.rule([lookup, nft.drop])])).toBe('');
  expect(end([nft.rule([lookup, nft.jump('inner')]), drop], { more: { inner: [accept] } })).toBe('rule 1?');
  // The walk's packet is of any protocol.
  expect(end([nft.rule([nft.dport('tcp', 80), nft.accept])], { policy: 'drop' })).toBe('policy?');
  expect(end([nft.rule([nft.dport('tcp', 80), nft.drop])])).toBe('');
});
