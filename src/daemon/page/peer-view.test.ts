import { expect, test } from 'bun:test';
import { testPeer } from '#host/fixtures.ts';
import { entryKey, type Entry } from '#host/plan.ts';
import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import type { OverlayPeer } from '../inspect/overlay.ts';
import { agentAnswers } from './agent-answers.ts';
import type { PagePlan } from './answers.ts';
import { peerViews } from './peer-view.ts';

type Parts = NonNullable<ReturnType<Parameters<typeof agentAnswers>[0]['overlayParts']>>;

const DIRECT: Entry = {
  type: 'route',
  link: 'eth0',
  dst: Cidr.parse('10.244.9.0/24'),
  gateway: Ip.parse('192.0.2.9'),
  onlink: false,
};
const PEERS: readonly (readonly [string, OverlayPeer])[] = [
  ['n2', { entries: testPeer(2) }],
  ['n3', { entries: testPeer(3) }],
  ['n4', { entries: testPeer(2) }],
  ['n9', { entries: [DIRECT] }],
  ['left', { entries: [], leftOut: { reason: 'unreadable', why: '' } }],
];

test('each state, from the plan alone', () => {
  const lost = testPeer(2).find(({ type }) => type === 'route') ?? DIRECT;
  const refused = testPeer(3).map(entryKey);
  const plan: PagePlan = {
    revision: 1,
    head: { node: 'n1', backend: 'vxlan', devices: { links: [], blackholes: [] }, rules: undefined, refused },
    peers: () => PEERS,
    peer: () => undefined,
    conflicts: () => [{ entry: lost, winner: 'n2', loser: 'n4' }],
  };
  const views = [...peerViews(plan)];
  expect(views.map(({ name, state, why }) => [name, state, why])).toEqual([
    ['n2', 'tunnel', undefined],
    ['n3', 'refused', expect.stringContaining('the kernel does not take')],
    ['n4', 'left_out', expect.stringMatching(/^n2 has /)],
    ['n9', 'direct', undefined],
    ['left', 'left_out', 'unreadable'],
  ]);
  expect(views[3]).toMatchObject({ subnets: ['10.244.9.0/24'], publicIps: ['192.0.2.9'] });
  expect(views[0]?.vtepMac).toBeDefined();
});

test('a revision changes with peers, with refusals, with a new run, and only then', async () => {
  const run = (revision: number) => ({ names: new Set<string>(), revision }) as unknown as Parts['peers'];
  let parts = {
    plan: {},
    backend: {},
    refused: [],
    unreadable: new Map(),
    peers: run(1),
  } as unknown as Parts;
  const answers = agentAnswers({ status: () => ({}), repairs: () => [], overlayParts: () => parts }, 1000);
  const revision = async () => (await answers.plan())?.revision;
  expect(await revision()).toBe(1001);
  expect(await revision()).toBe(1001);
  parts = { ...parts, refused: ['r 10.244.2.0/24'] };
  expect(await revision()).toBe(1002);
  parts = { ...parts, unreadable: new Map([['n5', 'unreadable' as const]]) };
  expect(await revision()).toBe(1003);
  Object.assign(parts.peers, { revision: 2 });
  expect(await revision()).toBe(1004);
  parts = { ...parts, peers: run(2) };
  expect(await revision()).toBe(1005);
  expect(await revision()).toBe(1005);
});
