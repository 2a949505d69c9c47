import { describe, expect, test } from 'bun:test';
import type { LabBackend } from '../command/options.ts';
import type { ProbeResult } from '../probe/exchange.ts';
import { planNode } from '../state/address-plan.ts';
import type { LabState } from '../state/state.ts';
import { planChecks, type Expectation } from './checks.ts';
import { judge } from './judge.ts';
import { judgeRanges } from './ranges.ts';

function labOf(nodes: number, pods: number, backend: LabBackend = 'vxlan'): LabState {
  const plans = Array.from({ length: nodes }, (_, at) => planNode(at + 1, pods));
  return {
    version: 1,
    options: { name: 'lab', nodes, pods, backend, manager: 'kube', traffic: 'nftables' },
    traffic: 'nftables',
    phase: 'ready',
    pid: 1,
    storeUrl: '',
    worldPid: 2,
    nodes: plans.map(({ name, ip, podCidr }) => ({ name, ip, podCidr, pid: 3, agentRestarts: 0 })),
    pods: plans.flatMap((plan, node) =>
      plan.pods.map((name, at) => ({
        name,
        node: plan.name,
        containerId: 'c',
        ip: `10.244.${node + 1}.${at + 2}`,
      })),
    ),
  };
}

/** The answer that the expectation demands. */
function right(expectation: Expectation): ProbeResult {
  const { server, seen, request } = expectation;
  const answer = { server, source: seen, sourcePort: 1, bytes: request.bytes ?? 64 };
  return { ok: true, answer, local: seen, ms: 1 };
}

describe('planChecks', () => {
  test('covers the network model on three nodes', () => {
    const checks = planChecks(labOf(3, 2));
    expect(checks.map(({ title, expectations }) => [title, expectations.length])).toEqual([
      ['pod ↔ pod on one node', 12],
      ['pod ↔ pod across nodes', 12],
      ['node → its own pods', 12],
      ['host network → pods of other nodes', 12],
      ['pod → host network of other nodes', 24],
      ['loopback inside a pod', 12],
      ['cluster service', 8],
      ['outside world → node port', 3],
      ['pod → outside world', 12],
    ]);
  });

  test('knows which address must be seen', () => {
    const of = (title: string) =>
      planChecks(labOf(3, 2)).find((check) => check.title === title)?.expectations ?? [];
    const seen = (title: string, from: string, to: string) =>
      of(title)
        .filter((each) => each.from.name === from && each.to === to)
        .map((each) => each.seen);
    expect(seen('pod ↔ pod across nodes', 'n1-a', 'n2-a')).toEqual(['10.244.1.2', '10.244.1.2']);
    expect(seen('host network → pods of other nodes', 'n1', 'n3-a')).toEqual(['10.244.1.0', '10.244.1.0']);
    expect(seen('node → its own pods', 'n2', 'n2-b')).toEqual(['10.244.2.1', '10.244.2.1']);
    expect(seen('pod → outside world', 'n3-b', 'world')).toEqual(['192.168.50.13', '192.168.50.13']);
    expect(seen('outside world → node port', 'world', 'n1:30080')).toEqual(['10.244.1.0']);
    expect(seen('outside world → node port', 'world', 'n3:30080')).toEqual(['10.244.3.1']);
  });

  test('without a tunnel nodes are seen by their own addresses', () => {
    for (const backend of ['host-gw', 'vxlan-direct'] as const) {
      const of = (title: string) =>
        planChecks(labOf(3, 2, backend)).find((check) => check.title === title)?.expectations ?? [];
      const fromHost = of('host network → pods of other nodes').find(({ from }) => from.name === 'n1');
      expect(fromHost).toMatchObject({ seen: '192.168.50.11', untranslated: false });
      const port = of('outside world → node port').find(({ to }) => to === 'n1:30080');
      expect(port?.seen).toBe('192.168.50.11');
      const toHost = of('pod → host network of other nodes').filter(({ seen }) => seen === '10.244.1.2');
      expect(toHost.map(({ request }) => `${request.proto} ${request.host}`)).toEqual([
        'tcp 10.244.2.1',
        'tcp 10.244.3.1',
      ]);
    }
  });

  test('one node and one pod leave out what cannot be asked', () => {
    const titles = planChecks(labOf(1, 1)).map(({ title }) => title);
    expect(titles).not.toContain('pod ↔ pod across nodes');
    expect(titles).toContain('pod → outside world');
  });

  test('many nodes do not mean a square of questions', () => {
    const check = planChecks(labOf(20, 1)).find(({ title }) => title === 'pod ↔ pod across nodes');
    expect(check?.expectations.length).toBe(40);
  });
});

describe('judge', () => {
  const [check] = planChecks(labOf(2, 2));
  if (check === undefined) throw new Error('no check');
  const good = check.expectations.map(right);
  const withFirst = (first: ProbeResult) => judge(check, [first, ...good.slice(1)]);
  const base = good[0];
  if (base === undefined || !base.ok) throw new Error('no answer');

  test('right answers are the evidence', () => {
    const verdict = judge(check, good);
    expect(verdict).toMatchObject({ ok: true, failures: [] });
    expect(verdict.evidence).toBe('8 of 8: n1-b saw n1-a as 10.244.1.2 (no NAT)');
  });

  test('each way to be wrong is named', () => {
    const failure = (first: ProbeResult) => withFirst(first).failures;
    expect(failure({ ok: false, error: 'no answer within 1500 ms' })).toEqual([
      'n1-a → n1-b (tcp 10.244.1.3:8080): no answer within 1500 ms',
    ]);
    expect(failure({ ...base, answer: { ...base.answer, server: 'n2-a' } })[0]).toContain(
      'n2-a answered, not n1-b',
    );
    expect(failure({ ...base, answer: { ...base.answer, source: '10.244.1.1' } })[0]).toContain(
      'saw 10.244.1.1, not',
    );
    expect(failure({ ...base, local: '10.244.9.9' })[0]).toContain('it was sent from 10.244.9.9');
    expect(failure({ ...base, answer: { ...base.answer, bytes: 1400 } })[0]).toContain('1400 of 4000 bytes');
    expect(withFirst({ ok: false, error: 'x' }).ok).toBe(false);
  });

  test('no questions and no answers are not green', () => {
    expect(judge({ ...check, expectations: [] }, []).ok).toBe(false);
    expect(judge(check, []).ok).toBe(false);
  });
});

describe('judgeRanges', () => {
  const env = (network: string, subnet: string) => `FLANNEL_NETWORK=${network}\nFLANNEL_SUBNET=${subnet}\n`;

  test('disjoint ranges', () => {
    const verdict = judgeRanges([
      { node: 'n1', subnetEnv: env('10.244.0.0/16', '10.244.1.1/24') },
      { node: 'n2', subnetEnv: env('10.244.0.0/16', '10.244.2.1/24') },
    ]);
    expect(verdict.ok).toBe(true);
    expect(verdict.evidence).toContain('n2 10.244.2.0/24');
  });

  test('every overlap is named', () => {
    const { failures } = judgeRanges([
      { node: 'n1', subnetEnv: env('10.96.0.0/16', '10.96.1.1/24') },
      { node: 'n2', subnetEnv: env('10.96.0.0/16', '10.96.1.129/25') },
      { node: 'n3', subnetEnv: env('10.96.0.0/16', '10.97.3.1/24') },
      { node: 'n4', subnetEnv: '' },
    ]);
    expect(failures).toEqual([
      '10.96.1.129/25 of n2 overlaps 10.96.1.1/24 of n1',
      'n3: 10.97.3.1/24 lies outside 10.96.0.0/16',
      'n4: subnet.env has no FLANNEL_NETWORK or no FLANNEL_SUBNET',
      '10.96.0.0/16 overlaps 10.96.0.0/12',
    ]);
    expect(judgeRanges([]).ok).toBe(false);
  });
});
