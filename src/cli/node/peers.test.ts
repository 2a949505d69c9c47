import { describe, expect, test } from 'bun:test';
import type { Overlay, OverlayPeer } from '#daemon/inspect/overlay.ts';
import { FakeKernel } from '#host/fake-kernel.ts';
import { testLink, testPeer } from '#host/fixtures.ts';
import { MemoryDirectRoutes } from '#host/direct-routes.ts';
import { planOf, Reconciler } from '#host/reconcile.ts';
import { silentLogger } from '#base/log.ts';
import { claimsOf, compareObjects } from '#daemon/inspect/difference.ts';
import { peerRows } from './peers.ts';

function overlay(peers: Record<string, OverlayPeer>, refused: readonly string[] = []): Overlay {
  return {
    node: 'n1',
    backend: 'vxlan',
    devices: { links: [testLink()], blackholes: [], external: 'eth0', keepDevices: false },
    rules: undefined,
    refused,
    peers: new Map(Object.entries(peers)),
  };
}

/** A kernel in which everything is as planned. */
function programmed(plan: Overlay): FakeKernel {
  const kernel = new FakeKernel();
  kernel.addDevice('eth0');
  const reconciler = new Reconciler({ kernel, directRoutes: new MemoryDirectRoutes(), log: silentLogger });
  expect(reconciler.full(planOf(plan.devices, claimsOf(plan))).errors).toEqual([]);
  return kernel;
}

const states = (plan: Overlay, kernel: FakeKernel) =>
  peerRows(plan, { claims: claimsOf(plan), difference: compareObjects(plan, kernel, []) }).map(
    ({ name, state, why }) => [name, state, why],
  );

describe('peers', () => {
  test('are told by what the kernel has of them, in the order that people count in', () => {
    const plan = overlay({
      n10: { entries: testPeer(10) },
      n2: { entries: testPeer(2) },
      n3: { entries: testPeer(2) },
      n4: { entries: [], leftOut: { reason: 'backend', why: 'ipv4: it uses wireguard' } },
    });
    const kernel = programmed(plan);
    expect(compareObjects(plan, kernel, [])).toMatchObject({ found: [], stale: [], unread: [] });
    const [route] = testPeer(10).filter(({ type }) => type === 'route');
    if (route !== undefined) kernel.apply([{ op: 'remove', entry: route }]);
    expect(states(plan, kernel)).toEqual([
      ['n2', 'programmed', undefined],
      ['n3', 'conflict', 'n2 has 10.244.2.0/24'],
      ['n4', 'left out', 'ipv4: it uses wireguard'],
      ['n10', 'not as planned', '1 of 3 entries missing or otherwise'],
    ]);
  });

  test('that the kernel refuses are told so', () => {
    const plan = overlay({ n2: { entries: testPeer(2) } }, ['r 10.244.2.0/24']);
    expect(states(plan, programmed(plan))[0]?.[1]).toBe('refused');
  });

  test('that are gone leave stale entries; looking writes nothing', () => {
    const kernel = programmed(overlay({ n2: { entries: testPeer(2) }, n5: { entries: testPeer(5) } }));
    const plan = overlay({ n2: { entries: testPeer(2) } });
    const first = compareObjects(plan, kernel, []);
    expect(first.stale.map(({ type }) => type).toSorted()).toEqual(['fdb', 'neighbour', 'route']);
    expect(first.found).toHaveLength(3);
    expect(compareObjects(plan, kernel, [])).toEqual(first);
  });
});
