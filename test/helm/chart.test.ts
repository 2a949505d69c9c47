import { describe, expect, test } from 'bun:test';
import { readFileSync, writeFileSync } from 'node:fs';
import { checkBackend } from '#backend/create.ts';
import { VERSION } from '#base/version.ts';
import { parseFlags } from '#daemon/flags.ts';
import { checkOptions } from '#daemon/options.ts';
import { FLANNEL_CONFLIST } from '#lab/cni/conflist.ts';
import type { KubeObject } from '#lab/api/object.ts';
import { BACKEND_TYPES, parseNetworkConfig } from '#subnet/config.ts';
import { type ChartInput, renderChart, renderedObjects, validateValues } from '../support/chart.ts';
import { daemonSetSpec, dataOf, manifestObjects, sourcePath, theOnly } from '../support/packaging.ts';

const manifest = manifestObjects('packaging/kubernetes/kube-flannel.yml');
const originalValues = Bun.YAML.parse(
  readFileSync(sourcePath('test/fixtures/helm/original-values.yaml'), 'utf8'),
) as object;

/** Rendered, compared with a golden file and looked at further below. */
const INPUTS = {
  default: {},
  'original-values': { values: originalValues },
  'dual-stack-nftables': {
    values: { podCidrv6: '2001:db8:42::/56', flannel: { enableNFTables: true, healthz: { ip: '0.0.0.0' } } },
  },
  'ipv6-host-gw': {
    values: { podCidr: '', podCidrv6: '2001:db8:42::/56', flannel: { backend: 'host-gw', mtu: 1400 } },
  },
  'plugins-only': {
    values: {
      flannel: {
        skipCNIConfigInstallation: true,
        cniBinDir: '/usr/libexec/cni',
        healthz: { port: 0 },
        nodeSelector: { 'node.example.com/pool': 'edge' },
        resources: { requests: { cpu: '20m' }, limits: { cpu: '', memory: '100Mi' } },
        backendOptions: { Learning: true, VNI: 7 },
      },
    },
  },
  'pod-monitor': {
    values: {
      flannel: { healthz: { ip: '0.0.0.0', port: 9471 } },
      monitoring: { podMonitor: { enabled: true, labels: { release: 'prometheus' } } },
    },
  },
  'after-a-manifest': { lookup: theOnly(manifest, 'DaemonSet') },
} satisfies Record<string, ChartInput>;

/** Backends that this build refuses, with every other one that is known. */
const BACKENDS = Object.fromEntries(
  BACKEND_TYPES.map((backend) => [`backend ${backend}`, { values: { flannel: { backend } } }]),
);

const image = (repository: string) => ({ values: { flannel: { image: { repository } } } });
/** The selector of the original's newest chart; and labels of somebody who would change it. */
const CHART_SELECTOR = {
  app: 'flannel',
  tier: 'node',
  'app.kubernetes.io/name': 'flannel',
  'app.kubernetes.io/instance': 'net',
};
const LABELLED = {
  "after the original's newest chart": {
    lookup: {
      ...theOnly(manifest, 'DaemonSet'),
      spec: { selector: { matchLabels: CHART_SELECTOR } },
    },
    values: {
      flannel: { podLabels: { tier: 'mine', more: 'yes' }, podAnnotations: { 'checksum/config': 'x' } },
    },
  },
};

/** Too long for a golden file: the rules and the dashboard are compared with what they are made of. */
const MONITORING = {
  'all of monitoring': {
    values: {
      flannel: { healthz: { ip: '::' } },
      monitoring: {
        podMonitor: { enabled: true },
        prometheusRule: { enabled: true, labels: { role: 'alerts', app: 'mine' } },
        dashboard: { enabled: true, annotations: { folder: 'Network' } },
      },
    },
  },
} satisfies Record<string, ChartInput>;

/** Refused by the templates, with words that say what to do. */
const FAILURES: Record<string, ChartInput & { readonly says: string }> = {
  netpol: {
    values: { netpol: { enabled: true } },
    says: 'netpol.enabled: this chart installs no network policy',
  },
  'no network': { values: { podCidr: '' }, says: 'podCidr and podCidrv6 are both empty' },
  "the original's image": { ...image('ghcr.io/flannel-io/flannel'), says: "is the original's image" },
  'scraping what listens on loopback': {
    values: { monitoring: { podMonitor: { enabled: true } } },
    says: 'flannel.healthz.ip: Prometheus cannot reach 127.0.0.1 of each node',
  },
  'scraping without a port': {
    values: { flannel: { healthz: { port: 0 } }, monitoring: { podMonitor: { enabled: true } } },
    says: 'flannel.healthz.port: 0 leaves nothing to scrape',
  },
  'a mirror of it': {
    ...image('docker.io/rancher/mirrored-flannelcni-flannel'),
    says: "is the original's image",
  },
};

const rendered = renderChart<string>({ ...INPUTS, ...LABELLED, ...BACKENDS, ...MONITORING, ...FAILURES });

function objectsFor(name: string): KubeObject[] {
  const found = rendered[name];
  if (found === undefined) throw new Error(`${name} was not rendered`);
  return renderedObjects(found);
}

function agentOf(name: string) {
  const [agent] = daemonSetSpec(theOnly(objectsFor(name), 'DaemonSet')).template.spec.containers;
  if (agent === undefined) throw new Error('there is no container');
  return agent;
}

function netConf(name: string) {
  const text = dataOf(theOnly(objectsFor(name), 'ConfigMap'))['net-conf.json'] ?? '';
  const { config, warnings } = parseNetworkConfig(text, { source: 'net-conf.json' });
  expect([...warnings, ...checkBackend(config)]).toEqual([]);
  return JSON.parse(text) as unknown;
}

describe.each(Object.keys(INPUTS))('%s', (name) => {
  test('is the golden file', () => {
    const files = Object.entries(rendered[name]?.files ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
    const text = files.map(([file, body]) => `# ${file}\n${body.trimEnd()}\n`).join('---\n');
    const golden = sourcePath(`test/fixtures/helm/${name}.golden`);
    if (process.env['FLANNEL_WRITE_GOLDENS'] === '1') writeFileSync(golden, text);
    expect(text).toBe(readFileSync(golden, 'utf8'));
  });

  test('flags and configuration are taken', () => {
    const { args = [], env = [] } = agentOf(name);
    const variables = Object.fromEntries(env.map(({ name: variable }) => [variable, 'x']));
    const { values, warnings } = parseFlags(args, variables);
    expect(warnings).toEqual([]);
    checkOptions({ flags: values, env: variables });
    netConf(name);
    const conflist = dataOf(theOnly(objectsFor(name), 'ConfigMap'))['cni-conf.json'] ?? '';
    expect(JSON.parse(conflist)).toEqual(FLANNEL_CONFLIST);
  });

  test('the selector selects the pods', () => {
    const { selector, template } = daemonSetSpec(theOnly(objectsFor(name), 'DaemonSet'));
    expect(template.metadata.labels).toMatchObject(selector.matchLabels);
  });
});

test('with its own values it is the manifest, but for labels, selector and the namespace', () => {
  const bare = (objects: readonly KubeObject[]) =>
    objects
      .map((object) => {
        const copy = structuredClone(object);
        delete copy.metadata.labels;
        const spec = copy.kind === 'DaemonSet' ? (copy.spec ?? {}) : {};
        delete spec['selector'];
        const template = spec['template'] as { metadata?: unknown } | undefined;
        delete template?.metadata;
        const data = Object.entries(copy['data'] ?? {}).map(([key, text]) => [key, JSON.parse(String(text))]);
        return data.length === 0 ? copy : { ...copy, data };
      })
      .filter(({ kind }) => kind !== 'Namespace')
      .sort((a, b) => a.kind.localeCompare(b.kind));
  expect(bare(objectsFor('default'))).toEqual(bare(manifest));
  for (const object of objectsFor('default')) {
    const same = theOnly(manifest, object.kind);
    expect(object.metadata.labels).toMatchObject(same.metadata.labels ?? {});
  }
});

test('every value of the original does what it does there', () => {
  expect(netConf('original-values')).toEqual({
    Network: '10.42.0.0/16',
    IPv6Network: 'fd00:10:42::/56',
    EnableIPv6: true,
    EnableNFTables: false,
    Backend: { Type: 'vxlan', Port: 4789, MTU: 1400, VNI: 4096, GBP: true, DirectRouting: true },
  });
  const agent = agentOf('original-values');
  expect(agent.image).toBe('registry.example.com/net/flannel:v9.9.9');
  expect(agent.args).toContain('--healthz-port=8081');
  expect(agent.readinessProbe).toMatchObject({ initialDelaySeconds: 5, periodSeconds: 10 });
  const pod = theOnly(objectsFor('original-values'), 'DaemonSet').spec?.['template'];
  expect(pod).toMatchObject({ spec: { imagePullSecrets: [{ name: 'my-registry' }] } });
  expect(rendered['original-values']?.files?.['NOTES.txt']).toContain(
    "The original's second image has no effect",
  );
});

test('one family alone, and keys that the backend does not take are left out', () => {
  expect(netConf('ipv6-host-gw')).toEqual({
    EnableIPv4: false,
    EnableIPv6: true,
    IPv6Network: '2001:db8:42::/56',
    EnableNFTables: false,
    Backend: { Type: 'host-gw' },
  });
});

test('without the conflist neither its folder nor the ConfigMap is mounted; without a port there are no probes', () => {
  const { spec } = daemonSetSpec(theOnly(objectsFor('plugins-only'), 'DaemonSet')).template;
  const [init] = spec.initContainers;
  expect(init?.command).toEqual(['/opt/bin/flannelctl', 'install-cni', '--plugins-only']);
  expect(init?.volumeMounts.map(({ name }) => name)).toEqual(['cni-plugin']);
  expect(spec.volumes.find(({ name }) => name === 'cni-plugin')?.hostPath?.path).toBe('/usr/libexec/cni');
  expect(spec.volumes.find(({ name }) => name === 'cni')).toBeUndefined();
  const agent = agentOf('plugins-only');
  expect([agent.livenessProbe, agent.readinessProbe]).toEqual([undefined, undefined]);
  expect(agent.args).toEqual(['--ip-masq', '--kube-subnet-mgr']);
  const resources = { requests: { cpu: '20m', memory: '50Mi' }, limits: { memory: '100Mi' } };
  expect(agent.resources).toEqual(resources);
  expect(netConf('plugins-only')).toMatchObject({ Backend: { Learning: true, VNI: 7 } });
});

test('what listens for everybody is still asked on 127.0.0.1', () => {
  const { args, livenessProbe } = agentOf('dual-stack-nftables');
  expect(args).toContain('--healthz-ip=0.0.0.0');
  expect(livenessProbe?.httpGet.host).toBe('127.0.0.1');
});

test('a DaemonSet that is there keeps its selector; else it is that of the original chart', () => {
  const selectorOf = (name: string) =>
    daemonSetSpec(theOnly(objectsFor(name), 'DaemonSet')).selector.matchLabels;
  expect(selectorOf('after-a-manifest')).toEqual({ app: 'flannel', 'k8s-app': 'flannel' });
  expect(selectorOf('default')).toEqual({ app: 'flannel' });
});

test('labels and annotations of an object go before those of a group, these before those of everything', () => {
  const objects = objectsFor('original-values');
  const stages = objects.map(({ kind, metadata }) => [
    kind,
    metadata.labels?.['stage'],
    metadata.annotations?.['owner'],
    metadata.labels?.['team'],
  ]);
  expect(stages.toSorted(([a = ''], [b = '']) => a.localeCompare(b))).toEqual([
    ['ClusterRole', 'role', 'role@example.com', 'net'],
    ['ClusterRoleBinding', 'binding', 'binding@example.com', 'net'],
    ['ConfigMap', 'config', 'config@example.com', 'net'],
    ['DaemonSet', 'daemonset', 'nodes@example.com', 'net'],
    ['ServiceAccount', 'account', 'account@example.com', 'net'],
  ]);
  expect(theOnly(objects, 'ClusterRole').metadata.labels?.['part']).toBe('rbac');
  const { metadata } = daemonSetSpec(theOnly(objects, 'DaemonSet')).template;
  expect(metadata.labels).toMatchObject({ stage: 'pod', team: 'net' });
  expect(metadata.annotations).toMatchObject({ owner: 'net@example.com', 'prometheus.io/scrape': 'true' });
});

test('no value takes a pod away from the selector, or the sum of the configuration from it', () => {
  const { selector, template } = daemonSetSpec(
    theOnly(objectsFor("after the original's newest chart"), 'DaemonSet'),
  );
  expect(selector.matchLabels).toEqual(CHART_SELECTOR);
  expect(template.metadata.labels).toMatchObject({ ...CHART_SELECTOR, more: 'yes' });
  expect(template.metadata.annotations?.['checksum/config']).toMatch(/^[0-9a-f]{64}$/);
});

describe('monitoring', () => {
  const objects = objectsFor('all of monitoring');
  const spec = (from: readonly KubeObject[], kind: string) => theOnly(from, kind).spec ?? {};

  test('PodMonitor and rules are those of packaging/monitoring', () => {
    for (const [kind, file] of [
      ['PodMonitor', 'podmonitor.yaml'],
      ['PrometheusRule', 'prometheusrule.yaml'],
    ] as const)
      expect(spec(objects, kind)).toEqual(spec(manifestObjects(`packaging/monitoring/${file}`), kind));
  });

  test('its labels are asked for by the operator, and win', () => {
    expect(theOnly(objects, 'PrometheusRule').metadata.labels).toMatchObject({ role: 'alerts', app: 'mine' });
    expect(theOnly(objects, 'PrometheusRule').metadata.labels).toMatchObject({ 'k8s-app': 'flannel' });
  });

  test('the dashboard is that of packaging/monitoring, labelled for the sidecar', () => {
    const [map, ...others] = objects.filter(({ metadata }) => metadata.name === 'flannel-dashboard');
    expect(others).toEqual([]);
    expect(map?.metadata.labels?.['grafana_dashboard']).toBe('1');
    expect(map?.metadata.annotations).toEqual({ folder: 'Network' });
    const text = map === undefined ? '' : (dataOf(map)['flannel-dashboard.json'] ?? '');
    const file = readFileSync(sourcePath('packaging/monitoring/flannel-dashboard.json'), 'utf8');
    expect(JSON.parse(text)).toEqual(JSON.parse(file));
  });
});

test('another configuration restarts the agents', () => {
  const sumOf = (name: string) =>
    daemonSetSpec(theOnly(objectsFor(name), 'DaemonSet')).template.metadata.annotations?.['checksum/config'];
  expect(sumOf('default')).toMatch(/^[0-9a-f]{64}$/);
  expect(sumOf('default')).toBe(sumOf('after-a-manifest') ?? '');
  expect(sumOf('dual-stack-nftables')).not.toBe(sumOf('default') ?? '');
});

test.each(Object.entries(FAILURES))('%s is refused in words', (name, { says }) => {
  expect(rendered[name]?.error).toContain(says);
});

test.each([...BACKEND_TYPES])('backend %s is refused here exactly when the agent refuses it', (backend) => {
  const text = JSON.stringify({ Network: '10.244.0.0/16', Backend: { Type: backend } });
  const { config } = parseNetworkConfig(text, { source: 'net-conf.json' });
  let missing = false;
  try {
    checkBackend(config);
  } catch (error) {
    missing = String(error).includes('is not built into this version');
  }
  expect(rendered[`backend ${backend}`]?.error.includes('is not built into')).toBe(missing);
});

describe('the schema', () => {
  const good: Record<string, ChartInput> = {
    ...INPUTS,
    ...BACKENDS,
    ...MONITORING,
    'a digest': { values: { flannel: { image: { tag: `v1@sha256:${'0'.repeat(64)}` } } } },
    'a key': { values: { flannel: { psk: 'c2VjcmV0', tunnelMode: 'auto', keepaliveInterval: 25 } } },
    'nothing where nothing is meant': {
      values: { flannel: { tolerations: null, flannel_cni: null, psk: 0 } },
    },
    'the former name of the second image': {
      values: { flannel: { image_cni: { repository: 'x', tag: 'y' } } },
    },
    'values of other charts': { values: { global: { domain: 'example.com', imagePullSecrets: null } } },
  };
  const bad: Record<string, ChartInput & { readonly at: string }> = {
    'an unknown value': { values: { podCIDR: '10.0.0.0/8' }, at: '' },
    'an unknown value of flannel': { values: { flannel: { backendport: 1 } }, at: 'flannel' },
    'a network without a length': { values: { podCidr: '10.244.0.0' }, at: 'podCidr' },
    'IPv4 for IPv6': { values: { podCidrv6: '10.244.0.0/16' }, at: 'podCidrv6' },
    'an unknown backend': { values: { flannel: { backend: 'VXLAN' } }, at: 'flannel.backend' },
    'a port as text': { values: { flannel: { backendPort: '8472' } }, at: 'flannel.backendPort' },
    'a port that is none': { values: { flannel: { healthz: { port: 70_000 } } }, at: 'flannel.healthz.port' },
    'a VNI that is none': { values: { flannel: { vni: 16_777_216 } }, at: 'flannel.vni' },
    'text for a switch': { values: { flannel: { enableNFTables: 'false' } }, at: 'flannel.enableNFTables' },
    'flags as text': { values: { flannel: { args: '--ip-masq' } }, at: 'flannel.args' },
    'a flag without a dash': { values: { flannel: { args: ['ip-masq'] } }, at: 'flannel.args.0' },
    'a folder that is relative': { values: { flannel: { cniBinDir: 'opt' } }, at: 'flannel.cniBinDir' },
    'an interval without a unit': {
      values: { monitoring: { podMonitor: { interval: '30' } } },
      at: 'monitoring.podMonitor.interval',
    },
    'a label that is no text': {
      values: { monitoring: { dashboard: { labels: { grafana_dashboard: 1 } } } },
      at: 'monitoring.dashboard.labels.grafana_dashboard',
    },
    'no selector': { values: { flannel: { selectorLabels: { app: null } } }, at: 'flannel.selectorLabels' },
    'another type of backend by the back door': {
      values: { flannel: { backendOptions: { Type: 'udp' } } },
      at: 'flannel.backendOptions.Type',
    },
    'a label with a blank': {
      values: { flannel: { podLabels: { a: 'b c' } } },
      at: 'flannel.podLabels.a',
    },
    'an annotation that is no text': {
      values: { global: { commonAnnotations: { a: 1 } } },
      at: 'global.commonAnnotations.a',
    },
    'a typing error below rbac': { values: { flannel: { rbac: { role: {} } } }, at: 'flannel.rbac' },
    'a quantity that is none': {
      values: { flannel: { resources: { limits: { memory: 'much' } } } },
      at: 'flannel.resources.limits.memory',
    },
  };
  const answers = renderChart<string>({ ...good, ...bad });
  const merged = Object.fromEntries(Object.entries(answers).map(([name, { values }]) => [name, values]));
  const errors = validateValues<string>(merged);

  test.each(Object.keys(good))('takes %s', (name) => {
    expect(errors[name]).toEqual([]);
  });

  test.each(Object.entries(bad))('refuses %s', (name, { at }) => {
    expect(errors[name]).toEqual([expect.stringMatching(new RegExp(`^${at.replaceAll('.', '\\.')}: `))]);
  });
});

test('the README of the chart names every value, and no other', () => {
  const names = (value: unknown, path: string): string[] =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.entries(value).flatMap(([key, below]) => [`${path}${key}`, ...names(below, `${path}${key}.`)])
      : [];
  const values = Bun.YAML.parse(readFileSync(sourcePath('packaging/helm/flannel/values.yaml'), 'utf8'));
  const known = new Set(names(values, ''));
  const rows = readFileSync(sourcePath('packaging/helm/flannel/README.md'), 'utf8').matchAll(
    /^\| (`[^|]+) \|/gm,
  );
  const named = [...rows].flatMap(([, cell = '']) => {
    const [first = '', ...more] = [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name);
    // `.b` beside `a.x` is `a.b`.
    return [first, ...more.map((name) => (name.startsWith('.') ? first.replace(/\.[^.]+$/, name) : name))];
  });
  expect(named.filter((name) => !known.has(name))).toEqual([]);
  const covered = (name: string) => named.some((one) => name === one || name.startsWith(`${one}.`));
  const folder = (name: string) => [...known].some((one) => one.startsWith(`${name}.`));
  expect([...known].filter((name) => !covered(name) && !folder(name))).toEqual([]);
});

test('the chart is of this version', () => {
  const chart = Bun.YAML.parse(readFileSync(sourcePath('packaging/helm/flannel/Chart.yaml'), 'utf8'));
  expect(chart).toMatchObject({
    apiVersion: 'v2',
    name: 'flannel',
    version: VERSION,
    appVersion: `v${VERSION}`,
  });
});
