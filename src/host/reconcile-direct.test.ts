import { expect, test } from 'bun:test';
import { createLogger, silentLogger, type Logger } from '#base/log.ts';
import { Ip } from '#net/ip.ts';
import { MemoryDirectRoutes } from './direct-routes.ts';
import type { FakeKernel } from './fake-kernel.ts';
import { testDirectRoute, testKernel, testPeer, testPlan } from './fixtures.ts';
import { describeEntry, type HostPlan } from './plan.ts';
import { Reconciler } from './reconcile.ts';

interface Host {
  readonly kernel: FakeKernel;
  readonly directRoutes: MemoryDirectRoutes;
  readonly reconciler: Reconciler;
}

function host(log: Logger = silentLogger, directRoutes = new MemoryDirectRoutes()): Host {
  const kernel = testKernel();
  return { kernel, directRoutes, reconciler: new Reconciler({ kernel, directRoutes, log }) };
}

/** A host that is as `plan` wants it, with an empty log. */
function sound(plan: HostPlan): Host {
  const made = host();
  expect(made.reconciler.full(plan).errors).toEqual([]);
  made.kernel.log.length = 0;
  return made;
}

test('direct routes are remembered before they are made and forgotten when they are gone', () => {
  const { kernel, directRoutes, reconciler } = sound(testPlan([]));
  const route = testDirectRoute(2);
  kernel.refuse = () => {
    expect(directRoutes.known()).toEqual([route]);
    return undefined;
  };
  const plan = testPlan([route]);
  expect(reconciler.change(plan, { put: [route], remove: [] })).toEqual([]);
  kernel.refuse = undefined;
  expect(reconciler.full(plan).found).toEqual([]);
  expect(reconciler.change(testPlan([]), { put: [], remove: [route] })).toEqual([]);
  expect(directRoutes.known()).toEqual([]);
  expect(kernel.routes('ipv4')).toEqual([]);
});

test('a direct route of an earlier run is removed when its peer is gone; one that only looks like it stays', () => {
  const { kernel, directRoutes, reconciler } = sound(testPlan([]));
  directRoutes.remember([testDirectRoute(2), testDirectRoute(3), testDirectRoute(4)]);
  const other = { ...testDirectRoute(3), gateway: Ip.parse('192.168.50.250') };
  kernel.apply([
    { op: 'put', entry: testDirectRoute(2) },
    { op: 'put', entry: other },
    { op: 'put', entry: testDirectRoute(5) },
  ]);
  const report = reconciler.full(testPlan([]));
  expect(report.found).toEqual([`${describeEntry(testDirectRoute(2))} is not planned`]);
  const left = kernel.routes('ipv4').map(({ dst, gateway }) => `${dst} ${gateway}`);
  expect(left).toEqual(['10.244.3.0/24 192.168.50.250', '10.244.5.0/24 192.168.50.5']);
  // Records of what is neither planned nor there are of no use.
  expect(directRoutes.known()).toEqual([]);
});

test('a route that the original made for a peer is adopted, so that it goes with the peer after a restart', () => {
  const { kernel, directRoutes, reconciler } = sound(testPlan([], []));
  kernel.apply([{ op: 'put', entry: testDirectRoute(2) }]);
  expect(reconciler.full(testPlan([testDirectRoute(2)], [])).found).toEqual([]);
  const next = new Reconciler({ kernel, directRoutes, log: silentLogger });
  expect(next.full(testPlan([], [])).found).toEqual([`${describeEntry(testDirectRoute(2))} is not planned`]);
  expect(kernel.routes('ipv4')).toEqual([]);
});

test('a peer that moves from a direct route into the tunnel leaves no record', () => {
  const { kernel, directRoutes, reconciler } = sound(testPlan([]));
  reconciler.change(testPlan([testDirectRoute(2)]), { put: [testDirectRoute(2)], remove: [] });
  reconciler.change(testPlan(testPeer(2)), { put: testPeer(2), remove: [] });
  expect(directRoutes.known()).toEqual([]);
  expect(reconciler.full(testPlan(testPeer(2))).found).toEqual([]);
  expect(kernel.routes('ipv4')).toHaveLength(1);
});

test('a removal that fails keeps its record', () => {
  const { kernel, directRoutes, reconciler } = sound(testPlan([]));
  reconciler.change(testPlan([testDirectRoute(2)]), { put: [testDirectRoute(2)], remove: [] });
  kernel.refuse = () => 'EPERM';
  expect(reconciler.change(testPlan([]), { put: [], remove: [testDirectRoute(2)] })).toHaveLength(1);
  expect(directRoutes.known()).toHaveLength(1);
  kernel.refuse = undefined;
  expect(reconciler.full(testPlan([])).errors).toEqual([]);
  expect(directRoutes.known()).toEqual([]);
});

test('a record that cannot be written is told once and keeps nothing from being done', () => {
  const lines: string[] = [];
  const log = createLogger({
    level: 'info',
    format: 'text',
    write: (line) => lines.push(line),
    now: () => new Date(0),
  });
  class Broken extends MemoryDirectRoutes {
    override remember(): void {
      throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
    }
  }
  const { kernel, reconciler } = host(log, new Broken());
  reconciler.full(testPlan([]));
  for (const n of [2, 3]) {
    expect(
      reconciler.change(testPlan([testDirectRoute(n)]), { put: [testDirectRoute(n)], remove: [] }),
    ).toEqual([]);
  }
  expect(kernel.routes('ipv4')).toHaveLength(2);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain('no space left on device');
});
