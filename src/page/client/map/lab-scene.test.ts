import { expect, test } from 'bun:test';
import type { LabNode, LabView, PeerView } from '../../model.ts';
import { holds, overlaps } from './geometry.ts';
import { hopPoint, labScene } from './lab-scene.ts';
import { neighbour, pick } from './pick.ts';

function node(i: number, peers: readonly PeerView[]): LabNode {
  const name = `n${i}`;
  const health = { state: 'ready', reasons: [], startedAt: 0, store: { fromMemory: false } } as const;
  const addresses = [`10.244.${i}.2`];
  return {
    name,
    ip: `192.168.50.${i}`,
    agent: 'running',
    overview: {
      schema: 1,
      version: '',
      now: 0,
      health,
      node: {
        name,
        backend: 'vxlan',
        mtu: 1450,
        subnets: [],
        publicIps: [],
        external: { name: 'eth0', mtu: 1500 },
        devices: [{ name: 'flannel.1', up: true, vni: 1, addresses: [] }],
        addresses: [],
      },
      pods: [{ name: `${name}-a`, addresses, veth: 'vetha', namespace: 'alive' }],
      unread: [],
      repairs: [],
    },
    peers,
  };
}

function lab(count: number, state: PeerView['state'] = 'tunnel'): LabView {
  const ids = Array.from({ length: count }, (_, i) => i + 1);
  const peers = (own: number) =>
    ids
      .filter((i) => i !== own)
      .map((i) => ({
        name: `n${i}`,
        subnets: [],
        publicIps: [],
        state: own === 1 ? state : ('tunnel' as const),
      }));
  return {
    schema: 1,
    name: 'lab',
    now: 0,
    backend: 'vxlan',
    nodes: ids.map((i) => node(i, peers(i))),
    places: [...ids.map((i) => `n${i}-a`), 'world'],
  };
}

test.each([1, 3, 8, 50])('%i nodes, the world and the switch stand apart', (count) => {
  const { items } = labScene(lab(count), 1.5);
  const outer = items.filter(({ kind }) => kind === 'node' || kind === 'place');
  expect(outer).toHaveLength(count + 2);
  outer.forEach((a, i) => {
    for (const b of outer.slice(i + 1)) expect(overlaps(a.box, b.box)).toBe(false);
  });
});

test('two nodes have one line, in the colour of the worse way', () => {
  const tones = (view: LabView) =>
    labScene(view, 1.5)
      .links.filter(({ bend }) => bend !== 0)
      .map(({ tone }) => tone);
  expect(tones(lab(3))).toEqual(['tunnel', 'tunnel', 'tunnel']);
  expect(tones(lab(3, 'refused'))).toEqual(['refused', 'refused', 'tunnel']);
  expect(tones(lab(3, 'left_out'))).toEqual(['tunnel']);
});

test('a packet is where its device is', () => {
  const view = lab(3);
  const scene = labScene(view, 1.5);
  const at = (kind: 'pod' | 'node' | 'world' | 'underlay', name: string, device: string) => {
    const point = hopPoint(scene, view, { place: { kind, name }, device });
    return point === undefined ? undefined : pick(scene, point)?.id;
  };
  expect(at('pod', 'n2-a', 'eth0')).toBe('pod n2 vetha');
  expect(at('node', 'n2', 'flannel.1')).toBe('device n2 flannel.1');
  expect(at('node', 'n2', 'eth0')).toBe('device n2 eth0');
  expect(at('underlay', 'underlay', 'br0')).toBe('place underlay');
  expect(at('world', 'world', 'eth0')).toBe('place world');
  expect(at('pod', 'nobody', 'eth0')).toBeUndefined();
  const ports = ['n1', 'n2', 'world'].map((device) =>
    hopPoint(scene, view, { place: { kind: 'underlay', name: 'underlay' }, device }),
  );
  expect(new Set(ports.map((point) => JSON.stringify(point))).size).toBe(3);
  const veth = hopPoint(scene, view, { place: { kind: 'node', name: 'n2' }, device: 'vetha' });
  expect(
    veth !== undefined && holds(scene.byId.get('node n2')?.box ?? { x: 0, y: 0, w: 0, h: 0 }, veth),
  ).toBe(true);
});

test('the arrow keys reach every pod and node', () => {
  const scene = labScene(lab(5), 1.5);
  const [first] = scene.items;
  const seen = new Set(first === undefined ? [] : [first]);
  for (const item of seen) {
    for (const direction of ['left', 'right', 'up', 'down'] as const) {
      const next = neighbour(scene, item, direction);
      if (next !== undefined) seen.add(next);
    }
  }
  const wanted = scene.items.filter(({ kind }) => kind !== 'device');
  expect(wanted.filter((item) => !seen.has(item)).map(({ id }) => id)).toEqual([]);
});
