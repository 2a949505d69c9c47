import { expect, test } from 'bun:test';
import { ErrnoError, ERRNO } from '#base/errors.ts';
import { ApiError, TransportError } from '#clients/k8s/errors.ts';
import type { PassReport } from '#host/pass.ts';
import { parseMetrics } from './fixtures.ts';
import { AgentMetrics, type RunView } from './agent.ts';

const VIEW: RunView = {
  ready: true,
  fromMemory: false,
  peers: () => ({ leases: 2, wanted: 3, programmed: 2, leftOut: new Map([['backend', 1]]), conflicts: 0 }),
  planned: () => [[{ kind: 'route' }, 2]],
  contactAge: () => 1.5,
  addresses: () => [[{ family: 'ipv6' }, 2 ** 64 - 2]],
  addressesUsed: () => [],
};

const samples = (metrics: AgentMetrics) => Object.fromEntries(parseMetrics(metrics.render()).samples);

function pass(change: Partial<PassReport>): PassReport {
  return {
    written: 0,
    found: [],
    stale: [],
    foundCount: 0,
    mended: new Map(),
    errors: [],
    blocking: undefined,
    ...change,
  };
}

test('before anything is known the page is sound, and says nothing of peers', () => {
  const all = samples(new AgentMetrics());
  expect(all).toMatchObject({
    'flannel_repairs_total{kind="route"}': 0,
    'flannel_repairs_total{kind="lease"}': 0,
    flannel_start_overs_total: 0,
    flannel_reconcile_duration_seconds_count: 0,
  });
  for (const name of ['flannel_ready', 'flannel_peers_wanted', 'flannel_watch_age_seconds'])
    expect(all).not.toHaveProperty(name);
  for (const name of [
    'process_cpu_seconds_total',
    'process_resident_memory_bytes',
    'process_open_fds',
    'process_max_fds',
  ])
    expect(all[name]).toBeGreaterThan(0);
  expect(all['process_start_time_seconds']).toBeLessThanOrEqual(Date.now() / 1000);
  expect(all['process_start_time_seconds']).toBeGreaterThan(Date.now() / 1000 - 3600);
});

test('the run is asked at each scrape', () => {
  const metrics = new AgentMetrics();
  metrics.follow(VIEW);
  expect(samples(metrics)).toMatchObject({
    flannel_ready: 1,
    flannel_leases: 3,
    flannel_peers_wanted: 3,
    flannel_peers_programmed: 2,
    'flannel_peers_left_out{reason="backend"}': 1,
    'flannel_kernel_entries{kind="route"}': 2,
    flannel_watch_age_seconds: 1.5,
  });
  metrics.follow({ ...VIEW, ready: false, peers: () => undefined });
  const later = samples(metrics);
  expect(later['flannel_ready']).toBe(0);
  expect(later).not.toHaveProperty('flannel_peers_wanted');
});

test('passes, errors and requests by values', () => {
  const metrics = new AgentMetrics();
  const gone = new ErrnoError('write route', ERRNO.ENODEV);
  metrics.passed(pass({}), 0.004);
  metrics.passed(pass({ foundCount: 2 }), 0.3);
  metrics.passed(pass({ foundCount: 2, errors: [gone, gone] }), 9);
  metrics.failed(new ApiError({ request: 'x', status: 503, reason: '', message: '' }));
  metrics.failed(new TransportError({ request: 'x', failure: 'tls', message: '' }));
  metrics.failed(new Error('secret text'));
  metrics.rulesChecked(false, 3);
  metrics.rulesChecked(true, 0);
  metrics.requested({ verb: 'watch', code: 410 });
  metrics.requested({ verb: 'watch', code: 'refused' });
  expect(metrics.render()).not.toContain('secret');
  expect(samples(metrics)).toMatchObject({
    'flannel_reconciles_total{result="unchanged"}': 1,
    'flannel_reconciles_total{result="repaired"}': 1,
    'flannel_reconciles_total{result="failed"}': 1,
    'flannel_reconcile_duration_seconds_bucket{le="0.005"}': 1,
    'flannel_reconcile_duration_seconds_bucket{le="+Inf"}': 3,
    'flannel_errors_total{actor="kernel",kind="ENODEV"}': 2,
    'flannel_errors_total{actor="api",kind="503"}': 1,
    'flannel_errors_total{actor="api",kind="tls"}': 1,
    'flannel_errors_total{actor="bug",kind="unknown"}': 1,
    'flannel_rule_checks_total{result="repaired"}': 1,
    'flannel_rule_checks_total{result="failed"}': 1,
    'flannel_api_requests_total{verb="watch",code="410"}': 1,
    'flannel_api_requests_total{verb="watch",code="refused"}': 1,
  });
});
