import { expect, test } from 'bun:test';
import fc from 'fast-check';
import type { NodeView, PeerView, PodView } from '../../model.ts';
import { holds, overlaps } from './geometry.ts';
import { groupPeers } from './groups.ts';
import { nodeScene } from './node-scene.ts';
import type { Item } from './scene.ts';

const NODE: NodeView = {
  name: 'n1',
  backend: 'vxlan',
  mtu: 1450,
  subnets: ['10.244.1.0/24'],
  publicIps: ['192.168.50.11'],
  external: { name: 'eth0', mtu: 1500 },
  devices: [{ name: 'flannel.1', up: true, mac: 'fe:f6:d1:9f:52:71', vni: 1, addresses: [] }],
  addresses: [],
};
const WORDS = { count: String, unread: 'unread' };
const STATES = ['tunnel', 'direct', 'refused', 'left_out'] as const;

function peer(i: number, subnet = `10.${128 + (i >> 8)}.${i & 255}.0/24`): PeerView {
  return { name: `n${i}`, subnets: [subnet], publicIps: [], state: STATES[i % 7] ?? 'tunnel' };
}

function pod(i: number): PodView {
  return { addresses: [`10.244.1.${i}`], veth: `veth${i}`, namespace: 'alive' };
}

function sceneOf(peers: readonly PeerView[], pods = 3) {
  return nodeScene({
    node: NODE,
    pods: Array.from({ length: pods }, (_, i) => pod(i)),
    peers,
    aspect: 1.7,
    words: WORDS,
  });
}

/** Those of one kind never cover each other; what is in a group or on a card is inside it. */
function expectTidy(items: readonly Item[]): void {
  const outer = items.filter(
    (item) =>
      item.kind === 'node' || item.kind === 'group' || (item.kind === 'peer' && item.inGroup !== true),
  );
  const inner = items.filter((item) => !outer.includes(item));
  for (const list of [outer, inner]) {
    const sorted = list.toSorted((a, b) => a.box.x - b.box.x);
    sorted.forEach((a, i) => {
      for (let n = i + 1; n < sorted.length && (sorted[n] as Item).box.x < a.box.x + a.box.w; n += 1) {
        if (overlaps(a.box, (sorted[n] as Item).box)) throw new Error(`${a.id} covers ${sorted[n]?.id}`);
      }
    });
  }
  for (const { id, box } of inner) {
    const corners = [box, { x: box.x + box.w - 0.1, y: box.y + box.h - 0.1 }];
    if (!outer.some((one) => corners.every((corner) => holds(one.box, corner))))
      throw new Error(`${id} is outside`);
  }
}

test.each([0, 1, 3, 36, 37, 50, 254, 1000, 5000])('%i peers all have a place of their own', (count) => {
  const scene = sceneOf(
    Array.from({ length: count }, (_, i) => peer(i)),
    110,
  );
  expect(scene.items.filter(({ kind }) => kind === 'peer')).toHaveLength(count);
  expect(scene.byId.size).toBe(scene.items.length);
  expectTidy(scene.items);
});

test('any number of peers and pods, of any subnets', () => {
  const subnet = fc.oneof(
    fc.tuple(fc.nat(255), fc.nat(255)).map(([a, b]) => `10.${a}.${b}.0/24`),
    fc.nat(65_535).map((n) => `fd00:${n.toString(16)}::/64`),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.array(subnet, { maxLength: 300 }), fc.nat(120), (subnets, pods) => {
      const scene = sceneOf(
        subnets.map((text, i) => peer(i, text)),
        pods,
      );
      expectTidy(scene.items);
      for (const { from, to } of scene.links) {
        expect([from.x, from.y, to.x, to.y].every((value) => Number.isFinite(value))).toBe(true);
      }
    }),
    { numRuns: 40 },
  );
});

test('groups are prefixes: every peer is in that of its own, and no peer is lost', () => {
  const peers = Array.from({ length: 1000 }, (_, i) => peer(i));
  const groups = groupPeers(peers);
  expect(groups.length).toBeGreaterThan(10);
  expect(groups.length).toBeLessThan(70);
  expect(
    groups.flatMap((group) => group.peers).toSorted((a, b) => peers.indexOf(a) - peers.indexOf(b)),
  ).toEqual(peers);
  expect(groups[0]?.prefix).toBe('10.128.0.0/19');
});

test('what is left out has no tunnel, and the states of a group have a line each', () => {
  const one = (state: PeerView['state']) => sceneOf([{ ...peer(1), state }], 0).links.map(({ tone }) => tone);
  expect(one('left_out')).toEqual([]);
  expect(one('refused')).toEqual(['refused']);
  const many = sceneOf(
    Array.from({ length: 50 }, (_, i) => ({ ...peer(i), state: i < 25 ? 'tunnel' : 'direct' })),
    0,
  );
  expect(many.links.reduce((sum, { weight }) => sum + weight, 0)).toBe(50);
});
