import { afterAll, describe, expect, test } from 'bun:test';
import { alertRules, dashboardExpressions, RULES_FILE, type AlertRule } from '../support/monitoring.ts';
import { Promtool } from '../support/prometheus.ts';
import { END, FAULTS, ORDINARY, STEP, type Fault, type Series } from './cases.ts';

const promtool = new Promtool();
afterAll(() => promtool[Symbol.dispose]());

const rules = alertRules();
/** When the faults begin, seconds. */
const START = 3600;
const N1 = { job: 'flannel', instance: '192.168.50.11:8471', node: 'n1' };

/** `10m`, `3h` in seconds. */
function seconds(duration: string): number {
  const [, count = '', unit = ''] = /^(\d+)([mh])$/.exec(duration) ?? [];
  return Number(count) * (unit === 'h' ? 3600 : 60);
}

function ruleOf(name: string): AlertRule {
  const rule = rules.find(({ alert }) => alert === name);
  if (rule === undefined) throw new Error(`there is no alert ${name}`);
  return rule;
}

const input = (series: Series) => Object.entries(series).map(([name, values]) => ({ series: name, values }));

/** The texts of the annotations as an operator gets them: what is not replaced here is not allowed in them. */
function words(rule: AlertRule, labels: Readonly<Record<string, string>>, fault: Fault) {
  const expand = (text: string) =>
    text
      .replaceAll(/\s*\{\{-? range [\s\S]*?\{\{ end -?\}\}\s*/g, ` ${fault.found ?? 'nothing'}`)
      .replaceAll('{{ or $labels.node $labels.instance }}', labels['node'] ?? '')
      .replaceAll(/\{\{ \$labels\.(\w+) \}\}/g, (_, name: string) => labels[name] ?? '')
      .replaceAll(/\{\{ \$value( \| humanizePercentage)? \}\}/g, fault.value ?? 'no value');
  return Object.fromEntries(Object.entries(rule.annotations).map(([name, text]) => [name, expand(text)]));
}

async function expectTests(tests: readonly object[]): Promise<void> {
  const file = promtool.write('tests.yaml', {
    rule_files: [RULES_FILE],
    evaluation_interval: `${STEP}s`,
    tests: tests.map((each) => ({ interval: `${STEP}s`, ...each })),
  });
  expect(await promtool.run(['test', 'rules', file])).toEqual({
    code: 0,
    text: expect.stringContaining('SUCCESS'),
  });
}

/** Nothing but these fires at a time. */
const firing = (at: number, names: readonly string[]) => ({
  eval_time: `${at}s`,
  expr: 'count by (alertname) (ALERTS{alertstate="firing"})',
  exp_samples: [...names].sort().map((alertname) => ({ labels: `{alertname="${alertname}"}`, value: 1 })),
});

test('promtool takes the rules', async () => {
  const { code, text } = await promtool.run(['check', 'rules', RULES_FILE]);
  expect([code, text]).toEqual([0, expect.stringContaining(`SUCCESS: ${rules.length} rules found`)]);
});

test('promtool takes the expressions of the dashboard, and would not take others', async () => {
  const check = (expressions: readonly string[]) => {
    const records = expressions.map((expr, at) => ({ record: `panel:${at}`, expr }));
    const file = promtool.write('panels.yaml', { groups: [{ name: 'panels', rules: records }] });
    return promtool.run(['check', 'rules', file]);
  };
  const expressions = dashboardExpressions();
  expect(expressions.length).toBeGreaterThan(30);
  expect(await check(expressions)).toMatchObject({ code: 0 });
  expect(await check([...expressions, 'sum by (node) (up'])).not.toMatchObject({ code: 0 });
});

test('every alert has a fault', () => {
  expect([...new Set(FAULTS.map(({ alert }) => alert))]).toEqual(rules.map(({ alert }) => alert));
});

test('on an ordinary day nothing fires', async () => {
  const times = Array.from({ length: 48 }, (_, at) => at * 300);
  await expectTests([{ input_series: input(ORDINARY), promql_expr_test: times.map((at) => firing(at, [])) }]);
});

describe.each(FAULTS.map((fault, at) => [fault.alert, at, fault] as const))('%s (%i)', (name, _at, fault) => {
  const rule = ruleOf(name);
  const after = START + seconds(rule.for);
  const labels = { ...(fault.labels ?? N1), ...fault.more };

  test('fires when the fault has lasted, not before; and nothing else fires', async () => {
    const at = after + (fault.delay ?? 60);
    const expected = {
      exp_labels: { ...labels, ...rule.labels },
      exp_annotations: words(rule, labels, fault),
    };
    await expectTests([
      {
        input_series: input({ ...ORDINARY, ...fault.series }),
        alert_rule_test: [
          { eval_time: `${after - STEP * 2}s`, alertname: name, exp_alerts: [] },
          { eval_time: `${at}s`, alertname: name, exp_alerts: [expected] },
        ],
        promql_expr_test: [firing(Math.min(at + 1800, STEP * END), [name, ...(fault.also ?? [])])],
      },
    ]);
  });
});
