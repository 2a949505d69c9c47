import { expect, test } from 'bun:test';
import { MemoryDirectRoutes } from '#host/direct-routes.ts';
import { testKernel, testPeer, testPlan } from '#host/fixtures.ts';
import type { PassReport } from '#host/pass.ts';
import { Reconciler } from '#host/reconcile.ts';
import { recordedLog } from './fixtures.ts';
import { Keeper } from './keeper.ts';
import { ManualClock } from './manual-clock.ts';

function setUp() {
  const kernel = testKernel();
  const clock = new ManualClock();
  const { log, lines } = recordedLog();
  const passes: { at: number; report: PassReport }[] = [];
  const plan = testPlan(testPeer(2));
  const keeper = new Keeper({
    reconciler: new Reconciler({ kernel, directRoutes: new MemoryDirectRoutes(), log }),
    plan: () => plan,
    clock,
    log,
    random: () => 0.5,
    onPass: (report) => passes.push({ at: clock.monotonic(), report }),
  });
  const damage = () => kernel.apply([{ op: 'delete-link', name: 'flannel.1' }]);
  return { kernel, clock, lines, passes, keeper, damage, times: () => passes.map(({ at }) => at) };
}

test('without cause a pass every half minute', async () => {
  const { keeper, clock, times } = setUp();
  keeper.pass();
  await clock.advance(29_999);
  expect(times()).toEqual([0]);
  await clock.advance(30_002);
  expect(times()).toEqual([0, 30_000, 60_000]);
});

test('many requests make one pass, shortly after the first', async () => {
  const { keeper, clock, times } = setUp();
  keeper.pass();
  await clock.advance(1000);
  for (let n = 0; n < 50; n += 1) {
    keeper.request(`reason ${n}`);
    await clock.advance(0.5);
  }
  await clock.advance(100);
  expect(times()).toEqual([0, 1030]);
  expect(clock.waits).toEqual([30_000 - 95]);
});

test('a refused write is tried again with growing waits, complained about once, and reset by success', async () => {
  const { keeper, clock, kernel, times, lines, passes } = setUp();
  kernel.refuse = (op) => (op.op === 'create-vxlan' ? 'EOPNOTSUPP' : undefined);
  keeper.pass();
  await clock.advance(6000);
  // Half of each delay is random: 0.5 makes 375, 750, 1500, 3000 ms.
  expect(times()).toEqual([0, 375, 1125, 2625, 5625]);
  expect(lines.filter((line) => line.startsWith('ERROR'))).toHaveLength(1);
  kernel.refuse = undefined;
  await clock.advance(6000);
  expect(passes.at(-1)?.report.errors).toEqual([]);
  kernel.refuse = (op) => (op.op === 'put' ? 'EPERM' : undefined);
  keeper.change({ put: testPeer(3), remove: [] });
  expect(clock.waits).toEqual([375]);
  expect(lines.filter((line) => line.startsWith('ERROR'))).toHaveLength(2);
});

test('a device that goes while a pass is on its way is told of only when it stays away', async () => {
  const { keeper, kernel, clock, lines } = setUp();
  kernel.refuse = (op) => (op.op === 'put' ? 'ENODEV' : undefined);
  const errors = () => lines.filter((line) => line.startsWith('ERROR')).length;
  keeper.pass();
  expect(errors()).toBe(0);
  await clock.advance(1000);
  expect(errors()).toBe(1);
  kernel.refuse = undefined;
  await clock.advance(20_000);
  expect(errors()).toBe(1);
});

test('a change is written at once, without a pass; an empty one does nothing', () => {
  const { keeper, kernel, times } = setUp();
  keeper.pass();
  kernel.log.length = 0;
  keeper.change({ put: testPeer(3), remove: [] });
  expect(kernel.log).toHaveLength(3);
  keeper.change({ put: [], remove: [] });
  expect(kernel.log).toHaveLength(3);
  expect(times()).toEqual([0]);
});

test('who undoes our repairs again and again is answered ever more slowly, to one a second', async () => {
  const { keeper, clock, damage, times } = setUp();
  keeper.pass();
  await clock.advance(10_000);
  const waits: number[] = [];
  for (let n = 0; n < 9; n += 1) {
    damage();
    const before = clock.monotonic();
    keeper.request('link removed');
    await clock.advance(clock.waits[0] ?? 0);
    waits.push((times().at(-1) ?? 0) - before);
  }
  expect(waits).toEqual([30, 30, 60, 120, 240, 480, 960, 1000, 1000]);
  await clock.advance(6000);
  damage();
  keeper.request('link removed');
  expect(clock.waits[0]).toBe(30);
});

test('different damages are each answered at once', async () => {
  const { keeper, clock, kernel } = setUp();
  keeper.pass();
  await clock.advance(10_000);
  for (const entry of [...testPeer(2), ...testPeer(2)]) {
    kernel.apply([{ op: 'remove', entry }]);
    keeper.request('removed');
    expect(clock.waits[0]).toBe(30);
    await clock.advance(30);
  }
});

test('closed, it does nothing more', async () => {
  const { keeper, clock, times } = setUp();
  keeper.pass();
  keeper.request('something');
  keeper.close();
  keeper.request('something else');
  await clock.advance(100_000);
  expect(times()).toEqual([0]);
  expect(clock.waits).toEqual([]);
});
