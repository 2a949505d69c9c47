import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { held } from '#lab/serve/child.ts';
import { AgentWorld, N2 } from '../support/agent-world.ts';
import { eventually } from '../support/eventually.ts';
import { golden } from '../support/golden.ts';
import { alertRules, dashboardExpressions, metricNames, RULES_FILE } from '../support/monitoring.ts';
import { describeInNetns } from '../support/netns.ts';
import { NodePod } from '../support/node-pods.ts';
import { Promtool, prometheusProgram } from '../support/prometheus.ts';

const METRICS = 'http://127.0.0.1:10256/metrics';
const PROMETHEUS = 'http://127.0.0.1:19090';

/** Everything that has a metric: a peer that is left out, a request that failed at first, and below a pod. */
async function world(): Promise<AgentWorld> {
  const made = await AgentWorld.create({ netConf: golden('vxlan-nftables/net-conf.json') });
  made.addNode('n1', { podCidrs: ['10.244.1.0/24'] });
  made.addPeer('n2', N2);
  made.addPeer('n3', { podCidrs: ['10.244.3.0/24'], publicIp: '192.168.50.13', backend: 'ipip' });
  made.api.faults.answer({ verb: 'list', resource: 'nodes', code: 503 });
  return made;
}

const scrape = async () => (await fetch(METRICS)).text();

/** A Prometheus that asks the agent every second, with the alert file; it goes with what is returned. */
async function startPrometheus(folder: Promtool): Promise<AsyncDisposable> {
  const config = folder.write('prometheus.yaml', {
    global: { scrape_interval: '1s', evaluation_interval: '1s' },
    rule_files: [RULES_FILE],
    scrape_configs: [
      { job_name: 'flannel', static_configs: [{ targets: ['127.0.0.1:10256'], labels: { node: 'n1' } }] },
    ],
  });
  const args = [
    `--config.file=${config}`,
    `--storage.tsdb.path=${join(folder.folder, 'data')}`,
    `--web.listen-address=${new URL(PROMETHEUS).host}`,
    '--log.level=warn',
  ];
  const child = Bun.spawn(held([prometheusProgram('prometheus'), ...args]), {
    stdout: 'ignore',
    stderr: 'inherit',
  });
  return {
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await child.exited;
    },
  };
}

/** `data` of an answer of Prometheus' API. */
async function ask<T>(path: string): Promise<T> {
  const { status, data, error } = (await (await fetch(`${PROMETHEUS}/api/v1/${path}`)).json()) as {
    readonly status: string;
    readonly data: T;
    readonly error?: string;
  };
  if (status !== 'success') throw new Error(`${path}: ${error}`);
  return data;
}

interface Answer {
  readonly result: readonly { readonly value: readonly [number, string] }[];
}

interface RuleState {
  readonly name: string;
  readonly health: string;
  readonly state: string;
  readonly lastError?: string;
}

const query = (expr: string) => ask<Answer>(`query?query=${encodeURIComponent(expr)}`);

async function ruleStates(): Promise<readonly RuleState[]> {
  const { groups } = await ask<{ readonly groups: readonly { readonly rules: readonly RuleState[] }[] }>(
    'rules',
  );
  return groups.flatMap(({ rules }) => rules);
}

describeInNetns(import.meta.path, 'the metrics of an agent', () => {
  test('promtool has nothing to say against them, and rules and dashboard use no others', async () => {
    await using at = await world();
    using _pod = NodePod.create(2, `${at.folder}/networks`);
    await using _agent = await at.startReady();
    const text = await scrape();
    using promtool = new Promtool();
    expect(await promtool.run(['check', 'metrics'], text)).toEqual({ code: 0, text: '' });
    const there = new Set([...text.matchAll(/^# TYPE (\w+) /gm)].map(([, name = '']) => name));
    const used = [...alertRules().map(({ expr }) => expr), ...dashboardExpressions()].flatMap(metricNames);
    expect(new Set(used).size).toBeGreaterThan(20);
    const base = (name: string) => name.replace(/_bucket$/, '');
    expect(used.filter((name) => !there.has(base(name)))).toEqual([]);
  });

  test('a Prometheus that scrapes it evaluates every rule and every panel; one becomes pending when the agent is gone', async () => {
    await using at = await world();
    using _pod = NodePod.create(2, `${at.folder}/networks`);
    await using agent = await at.startReady();
    using folder = new Promtool();
    await using _prometheus = await startPrometheus(folder);
    await eventually(async () => {
      const { result } = await query('count_over_time(flannel_ready{node="n1"}[1m]) >= 3');
      expect(result).toHaveLength(1);
    }, 15_000);
    const rules = await ruleStates();
    expect(rules.map(({ name }) => name)).toEqual(alertRules().map(({ alert }) => alert));
    for (const { name, health, lastError = '' } of rules)
      expect([name, health, lastError]).toEqual([name, 'ok', '']);
    const pending = rules.filter(({ state }) => state !== 'inactive').map(({ name }) => name);
    expect(pending).toEqual(['FlannelPeersLeftOut']);
    const empty: string[] = [];
    for (const expr of dashboardExpressions()) if ((await query(expr)).result.length === 0) empty.push(expr);
    expect(empty).toEqual([]);
    await agent.stop('SIGKILL');
    await eventually(async () => {
      const states = new Map((await ruleStates()).map(({ name, state }) => [name, state]));
      expect(states.get('FlannelAgentDown')).toBe('pending');
    }, 10_000);
  });
});
