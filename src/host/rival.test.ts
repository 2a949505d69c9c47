import { expect, test } from 'bun:test';
import { createLogger } from '#base/log.ts';
import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import { MemoryDirectRoutes } from './direct-routes.ts';
import { testKernel, testPeer, testPlan } from './fixtures.ts';
import type { HostRoute } from './kernel.ts';
import { Reconciler } from './reconcile.ts';

const PLAN = testPlan(testPeer(2));

function sound() {
  const lines: string[] = [];
  const log = createLogger({
    level: 'info',
    format: 'text',
    write: (line) => lines.push(line),
    now: () => new Date(0),
  });
  const kernel = testKernel();
  const reconciler = new Reconciler({ kernel, directRoutes: new MemoryDirectRoutes(), log });
  expect(reconciler.full(PLAN).errors).toEqual([]);
  return { kernel, reconciler, lines };
}

function rival(change: Partial<HostRoute>): HostRoute {
  return {
    dst: Cidr.parse('10.244.2.0/24'),
    gateway: undefined,
    link: undefined,
    onlink: false,
    byKernel: false,
    priority: undefined,
    ...change,
  };
}

const RIVALS: readonly (readonly [string, Partial<HostRoute>])[] = [
  ['via 192.168.50.1 dev eth0', { gateway: Ip.parse('192.168.50.1'), link: 1 }],
  ['dev eth0', { link: 1 }],
  ['several ways', {}],
  ['it leads nowhere', { blocking: true }],
];

test.each(RIVALS)('a route beside ours goes: %s', (words, change) => {
  const { kernel, reconciler } = sound();
  kernel.addRoute(rival(change));
  const report = reconciler.full(PLAN);
  expect(report.found).toEqual([`another route to 10.244.2.0/24 in the place of ours: ${words}`]);
  expect(report.errors).toEqual([]);
  expect(kernel.routes('ipv4')).toHaveLength(1);
  expect(reconciler.full(PLAN).found).toEqual([]);
});

test('what the kernel made, what is behind ours and what leads elsewhere stays', () => {
  const { kernel, reconciler, lines } = sound();
  kernel.addRoute(rival({ byKernel: true, link: 1 }));
  kernel.addRoute(rival({ priority: 500, link: 1 }));
  kernel.addRoute(rival({ dst: Cidr.parse('10.244.2.0/25'), link: 1, gateway: Ip.parse('192.168.50.1') }));
  expect(reconciler.full(PLAN).found).toEqual([]);
  expect(kernel.routes('ipv4')).toHaveLength(4);
  expect(lines).toEqual([]);
});
