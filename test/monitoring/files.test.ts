import { describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import type { Json } from '#lab/api/object.ts';
import { derivedFiles, RULES } from '../../scripts/monitoring/files.ts';
import { alertRules, metricNames, readDashboard } from '../support/monitoring.ts';
import { manifestObjects, sourcePath, theOnly } from '../support/packaging.ts';
import { Promtool } from '../support/prometheus.ts';

const read = (path: string) => readFileSync(sourcePath(path), 'utf8');

describe('what is made of other files: npm run reference', () => {
  test.each(Object.entries(derivedFiles(read(RULES))))('%s', (path, text) => {
    expect(read(path)).toBe(text);
  });

  test('the rules for the operator are those of the file', () => {
    const object = theOnly(manifestObjects('packaging/monitoring/prometheusrule.yaml'), 'PrometheusRule');
    expect({ ...object.spec }).toEqual({ groups: (Bun.YAML.parse(read(RULES)) as { groups: Json }).groups });
  });
});

describe.each(alertRules().map((rule) => [rule.alert, rule] as const))('%s', (name, rule) => {
  const page = read('docs/monitoring.md');

  test('waits, has a severity, and says what it is and what mends it', () => {
    expect(rule.for).toMatch(/^\d+[mh]$/);
    expect(rule.labels.severity).toMatch(/^(?:info|warning|critical)$/);
    expect(Object.keys(rule.annotations)).toEqual(['summary', 'description', 'runbook']);
    expect(rule.annotations.description).toMatch(/`(?:flannelctl|kubectl) [^`]+`/);
    expect(metricNames(rule.expr).length + Number(rule.expr.includes('up{'))).toBeGreaterThan(0);
  });

  test('asks for checks that the doctor has', () => {
    const checks = [...read('docs/doctor.md').matchAll(/^\| `([\w-]+)` \|/gm)].map(([, id]) => id);
    const asked = [...rule.annotations.description.matchAll(/doctor --only ([\w,-]+)/g)];
    const ids = asked.flatMap(([, list = '']) => list.split(','));
    expect(ids.filter((id) => !checks.includes(id))).toEqual([]);
  });

  test('has its part and its row in the guide', () => {
    expect(rule.annotations.runbook).toBe(`docs/monitoring.md#${name.toLowerCase()}`);
    expect(page).toContain(`\n### ${name}\n`);
    const row = page.split('\n').find((line) => line.startsWith(`| [${name}](#${name.toLowerCase()}) |`));
    expect(row).toContain(`| ${rule.labels.severity} | ${rule.for} |`);
  });
});

test('the guide has no part of an alert that is not there', () => {
  const parts = [...read('docs/monitoring.md').matchAll(/^### (Flannel\w+)$/gm)].map(([, name]) => name);
  expect(parts).toEqual(alertRules().map(({ alert }) => alert));
});

describe('the dashboard', () => {
  const { panels, templating, schemaVersion } = readDashboard();

  test('is for Grafana 9 and newer, with its own panels alone', () => {
    expect(schemaVersion).toBe(36);
    const types = new Set(panels.map(({ type }) => type));
    expect([...types].sort()).toEqual(['row', 'stat', 'table', 'timeseries']);
  });

  test('ids and titles are unique', () => {
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    expect(new Set(panels.map(({ title }) => title)).size).toBe(panels.length);
  });

  test('no two panels lie upon each other, and all lie within the grid', () => {
    const taken = new Map<string, string>();
    for (const { title, gridPos } of panels) {
      const { x, y, w, h } = gridPos;
      expect(x + w).toBeLessThanOrEqual(24);
      for (let column = x; column < x + w; column++)
        for (let line = y; line < y + h; line++) {
          const place = `${column}/${line}`;
          expect([title, taken.get(place)]).toEqual([title, undefined]);
          taken.set(place, title);
        }
    }
  });

  test('every panel asks the data source of the variable, with the chosen cluster, job and nodes', () => {
    expect(templating.list.map(({ name }) => name)).toEqual(['datasource', 'cluster', 'job', 'node']);
    for (const { type, datasource, targets = [] } of panels) {
      if (type === 'row') continue;
      expect(datasource).toEqual({ type: 'prometheus', uid: '${datasource}' });
      expect(targets.length).toBeGreaterThan(0);
      expect(new Set(targets.map(({ refId }) => refId)).size).toBe(targets.length);
      for (const { expr } of targets) {
        const chosen = expr.match(/\{cluster=~"\$cluster", job=~"\$job", node=~"\$node"[,}]/g) ?? [];
        expect([expr, chosen.length]).toEqual([expr, metricNames(expr).length]);
      }
    }
  });
});

interface Relabeling {
  readonly sourceLabels?: readonly string[];
  readonly regex?: string;
  readonly replacement?: string;
  readonly targetLabel?: string;
  readonly action?: string;
}

/** As the operator writes it into Prometheus' own configuration. */
function relabelConfig({ sourceLabels, targetLabel, ...rest }: Relabeling): object {
  return {
    ...rest,
    ...(sourceLabels !== undefined && { source_labels: sourceLabels }),
    ...(targetLabel !== undefined && { target_label: targetLabel }),
  };
}

/** Address, job and node of the targets that a job of a configuration has in the end. */
async function discovered(promtool: Promtool, config: string, job: string): Promise<string[]> {
  const { code, text } = await promtool.run(['check', 'service-discovery', '--timeout=1s', config, job]);
  expect(code).toBe(0);
  const found = JSON.parse(text.slice(text.indexOf('['))) as readonly {
    readonly labels: Readonly<Record<string, string>>;
  }[];
  const kept = found.map(({ labels }) => labels).filter((labels) => labels['job'] !== undefined);
  return kept.map((labels) => `${labels['__address__']} ${labels['job']} ${labels['node']}`).sort();
}

test('the PodMonitor finds the agent, by IPv4 and IPv6, and not the init container', async () => {
  const { spec = {} } = theOnly(manifestObjects('packaging/monitoring/podmonitor.yaml'), 'PodMonitor');
  const { podMetricsEndpoints = [] } = spec as {
    podMetricsEndpoints?: readonly { readonly path: string; readonly relabelings: readonly Relabeling[] }[];
  };
  const [endpoint] = podMetricsEndpoints;
  expect(endpoint?.path).toBe('/metrics');
  const target = (ip: string, container: string) => ({
    // What Prometheus finds of a container without ports.
    targets: [ip.includes(':') ? `[${ip}]` : ip],
    labels: {
      __meta_kubernetes_pod_ip: ip,
      __meta_kubernetes_pod_container_name: container,
      __meta_kubernetes_pod_node_name: 'n1',
    },
  });
  using promtool = new Promtool();
  const config = promtool.write('prometheus.yaml', {
    scrape_configs: [
      {
        job_name: 'podMonitor/kube-flannel/flannel/0',
        static_configs: [
          target('192.168.50.11', 'kube-flannel'),
          target('fd50::11', 'kube-flannel'),
          target('192.168.50.11', 'install-cni'),
        ],
        relabel_configs: endpoint?.relabelings.map(relabelConfig),
      },
    ],
  });
  expect(await discovered(promtool, config, 'podMonitor/kube-flannel/flannel/0')).toEqual([
    '192.168.50.11:8471 flannel n1',
    '[fd50::11]:8471 flannel n1',
  ]);
});

test('the examples of the guide are configurations that Prometheus takes, and find the agents', async () => {
  const blocks = [...read('docs/monitoring.md').matchAll(/^```yaml\n([\s\S]*?)^```$/gm)];
  const configs = blocks.map(([, body = '']) => body).filter((body) => body.includes('scrape_configs'));
  expect(configs).toHaveLength(2);
  using promtool = new Promtool();
  promtool.write('flannel-rules.yaml', read(RULES));
  const nodes = ['192.168.50.11', 'fd50::12'].map((ip, at) => ({
    targets: ['kubelet:10250'],
    labels: { __meta_kubernetes_node_address_InternalIP: ip, __meta_kubernetes_node_name: `n${at + 1}` },
  }));
  for (const body of configs) {
    // Debian's build lacks the discovery by Kubernetes: what it would find stands here instead.
    const text = body
      .replaceAll('/etc/prometheus/', '')
      .replace('kubernetes_sd_configs: [{ role: node }]', `static_configs: ${JSON.stringify(nodes)}`);
    const file = promtool.write('prometheus.yaml', text);
    const checked = await promtool.run(['check', 'config', file]);
    expect([checked.code, checked.text]).toEqual([0, expect.stringContaining('SUCCESS')]);
    const second = body.includes('kubernetes') ? '[fd50::12]' : '192.168.50.12';
    expect(await discovered(promtool, file, 'flannel')).toEqual([
      '192.168.50.11:8471 flannel n1',
      `${second}:8471 flannel n2`,
    ]);
  }
});
