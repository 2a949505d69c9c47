import { expect, test } from 'bun:test';
import type { StatusReport } from './status-report.ts';
import { statusText } from './status-text.ts';

const NOW = Date.UTC(2026, 10, 22, 19, 0, 0);
const ago = (seconds: number) => new Date(NOW - seconds * 1000).toISOString();

const REPORT: StatusReport = {
  source: { from: 'agent' },
  node: 'n1',
  ready: true,
  reason: 'ready',
  agent: { pid: 4711, version: '0.1.0', startedAt: ago(11_520) },
  lease: {
    backend: 'vxlan',
    subnets: { ipv4: '10.244.1.0/24', ipv6: 'fd00:42:0:1::/64' },
    publicIps: { ipv4: '192.168.50.11', ipv6: 'fd50::11' },
  },
  external: { name: 'eth0', mtu: 1500 },
  mtu: 1430,
  peers: { wanted: 4, programmed: 2, stale: 1, others: { 'left out': 1, conflict: 1 } },
  entries: { planned: 11, found: [], unread: [] },
  rules: { mode: 'nftables', state: 'ok', error: undefined, found: [] },
  store: { fromMemory: false, lastContact: ago(3), age: 3 },
  addresses: { ipv4: { used: 4, free: 249 } },
  lastPass: { at: ago(12), ms: 2.4, found: 0, errors: 0 },
  repairs: [],
};

const text = (change: Partial<StatusReport> = {}, wide = false) =>
  statusText({ ...REPORT, ...change }, { screen: { paint: (_, what) => what }, wide, now: NOW }).join('\n');

test('a sound node in few lines', () => {
  expect(text()).toBe(`n1: ready
  agent      process 4711, flanneld v0.1.0, for 3 h 12 min
  lease      vxlan, 10.244.1.0/24, fd00:42:0:1::/64, at 192.168.50.11, fd50::11
  interface  eth0, MTU 1500, pods 1430
  peers      4 wanted, 2 programmed, 1 left out, 1 conflict; 1 kernel entry of no peer
  entries    11, as planned
  rules      nftables, ok
  watch      heard 3 s ago
  addresses  10.244.1.0/24: 4 used, 249 free
  last pass  12 s ago, 2.4 ms, 0 found, 0 errors
  repairs    none`);
});

test('what is wrong is told in its line, much of it only when asked for', () => {
  const found = ['a missing', 'b missing', 'c missing', 'd missing', 'e missing'];
  const repairs = [1, 2]
    .map((at) => ({ at: ago(60 * at), counts: { route: 1 }, what: `route ${at}` }))
    .toReversed();
  const broken = {
    entries: { planned: 3, found, unread: [] },
    repairs,
    rules: { mode: 'iptables', state: 'failed', error: 'no iptables', found: [] },
  };
  const short = text(broken);
  expect(short).toContain(`  entries    5 not as planned
             a missing
             b missing
             c missing
             and 2 more (-o wide)
  rules      iptables, failed: no iptables\n`);
  expect(short).toEndWith(`  repairs    1 min ago: route 1
             2 min ago: route 2`);
  expect(text(broken, true)).toContain('             e missing\n');
});

test('without the agent and without a plan, what the kernel has', () => {
  const { peers: _, entries: __, ...rest } = REPORT;
  const why = 'no agent runs (/run/flannel/agent.sock is not there)';
  const lines = statusText(
    {
      ...rest,
      ready: false,
      reason: why,
      source: { from: 'files', why },
      unknown: {
        why: 'the record cannot be used',
        cure: 'Start the agent',
        kernel: [{ device: 'flannel.1', up: false, routes: 1, neighbours: 2, fdb: 0 }],
      },
      rules: {
        mode: 'nftables',
        state: 'unknown',
        error: undefined,
        found: ["none of flanneld's nftables rules is in the kernel"],
      },
    },
    { screen: { paint: (_colour, what) => what }, wide: false, now: NOW },
  );
  expect(lines.join('\n')).toStartWith(`n1: ${why}; from its files and the kernel:
  agent      last: process 4711, flanneld v0.1.0
`);
  expect(lines.join('\n')).toContain(`  peers      not known: the record cannot be used
             Start the agent
  kernel     flannel.1 (down): 1 route, 2 neighbours, 0 FDB entries
  rules      nftables, not as planned
             none of flanneld's nftables rules is in the kernel
`);
});

test('names of others cannot draw on the terminal or forge a line', () => {
  const hostile = text({
    node: 'n1\u001B[2J\nn2: ready',
    store: { fromMemory: true, trouble: 'x\r\u009B31m' },
  });
  expect(hostile).not.toMatch(/[\u001B\u009B\r]/);
  expect(hostile.split('\n')[0]).toBe('n1\\u001b[2J\\u000an2: ready: ready');
});
