import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { checkBackend } from '#backend/create.ts';
import { objectsOf } from '#lab/api/objects.ts';
import { startApiServer, type ApiServer } from '#lab/api/server.ts';
import { resourceOf } from '#lab/api/store.ts';
import { parseNetworkConfig } from '#subnet/config.ts';
import { Kubectl } from '../support/kubectl.ts';
import { dataOf, manifestObjects, objectsOfYaml, sourcePath, theOnly } from '../support/packaging.ts';

const MANIFEST = sourcePath('packaging/kubernetes/kube-flannel.yml');
const ORIGINAL = sourcePath('test/fixtures/kube/original-release.yml');
const NAMES = [
  'namespace/kube-flannel',
  'serviceaccount/flannel',
  'clusterrole.rbac.authorization.k8s.io/flannel',
  'clusterrolebinding.rbac.authorization.k8s.io/flannel',
  'configmap/kube-flannel-cfg',
  'daemonset.apps/kube-flannel-ds',
];

let server: ApiServer;
let kubectl: Kubectl;

beforeAll(async () => {
  server = await startApiServer();
  kubectl = new Kubectl(server.url);
});

afterAll(async () => {
  kubectl[Symbol.dispose]();
  await server.close();
});

/** What kubectl says it did, by the objects' names. */
function done(out: string): Record<string, string> {
  return Object.fromEntries(
    out
      .trimEnd()
      .split('\n')
      .map((line) => {
        const [name = '', ...rest] = line.split(' ');
        return [name, rest.join(' ')];
      }),
  );
}

const all = (what: string) => Object.fromEntries(NAMES.map((name) => [name, what]));
const daemonSet = () =>
  objectsOf(server.store, resourceOf('daemonsets')).get('kube-flannel-ds', 'kube-flannel');
const specOf = (path: string) => theOnly(objectsOfYaml(readFileSync(path, 'utf8')), 'DaemonSet').spec;

async function clean(): Promise<void> {
  await kubectl.ok('delete', '--ignore-not-found', '--wait=false', '-f', MANIFEST);
  expect(daemonSet()).toBeUndefined();
}

describe('kubectl apply', () => {
  test('a dry run makes nothing', async () => {
    const out = await kubectl.ok('apply', '--dry-run=client', '-f', MANIFEST);
    expect(done(out)).toEqual(all('created (dry run)'));
    expect(daemonSet()).toBeUndefined();
  });

  test('makes every object, and the second time changes none', async () => {
    expect(done(await kubectl.ok('apply', '-f', MANIFEST))).toEqual(all('created'));
    expect(daemonSet()?.spec).toEqual(specOf(MANIFEST) ?? {});
    expect(done(await kubectl.ok('apply', '-f', MANIFEST))).toEqual(all('unchanged'));
    await clean();
  });

  test('over the original and back: the same objects, exactly as each manifest says', async () => {
    expect(done(await kubectl.ok('apply', '-f', ORIGINAL))).toEqual(all('created'));
    const uid = daemonSet()?.metadata.uid;
    const results = done(await kubectl.ok('apply', '-f', MANIFEST));
    expect(Object.keys(results)).toEqual(NAMES);
    expect(Object.values(results).filter((what) => what !== 'configured' && what !== 'unchanged')).toEqual(
      [],
    );
    expect(daemonSet()?.spec).toEqual(specOf(MANIFEST) ?? {});
    expect(daemonSet()?.metadata.uid).toBe(uid ?? '');
    await kubectl.ok('apply', '-f', ORIGINAL);
    expect(daemonSet()?.spec).toEqual(specOf(ORIGINAL) ?? {});
    expect(daemonSet()?.metadata.uid).toBe(uid ?? '');
    await clean();
  });

  test('over an original that selects by app alone: refused as it is, done by the overlay', async () => {
    const text = readFileSync(ORIGINAL, 'utf8');
    const alone = text.replace(
      'matchLabels: { app: flannel, k8s-app: flannel }',
      'matchLabels: { app: flannel }',
    );
    expect(alone).not.toBe(text);
    await kubectl.ok('apply', '-f', kubectl.write('alone.yml', alone));
    const uid = daemonSet()?.metadata.uid;
    const refused = await kubectl.run('apply', '-f', MANIFEST);
    expect([refused.code, refused.err]).toEqual([1, expect.stringContaining('field is immutable')]);
    await kubectl.ok('apply', '-k', sourcePath('packaging/kustomize/selector-app'));
    expect(daemonSet()?.metadata.uid).toBe(uid ?? '');
    expect(daemonSet()?.spec?.['selector']).toEqual({ matchLabels: { app: 'flannel' } });
    expect(daemonSet()?.spec?.['template']).toEqual(specOf(MANIFEST)?.['template']);
    await clean();
  });
});

describe('kustomize', () => {
  const base = manifestObjects('packaging/kubernetes/kube-flannel.yml');
  const sorted = (objects: typeof base) => objects.toSorted((a, b) => a.kind.localeCompare(b.kind));
  const rest = (objects: typeof base) => sorted(objects.filter(({ kind }) => kind !== 'ConfigMap'));
  const rendered = async (name: string) =>
    objectsOfYaml(await kubectl.ok('kustomize', sourcePath(`packaging/${name}`)));

  test('the base is the manifest', async () => {
    expect(sorted(await rendered('kubernetes'))).toEqual(sorted(base));
  });

  test.each([
    ['vxlan', 'vxlan', { families: ['ipv4'], enableNftables: false }],
    ['host-gw', 'host-gw', { families: ['ipv4'], enableNftables: false }],
    ['dual-stack', 'vxlan', { families: ['ipv4', 'ipv6'], enableNftables: false }],
    ['nftables', 'vxlan', { families: ['ipv4'], enableNftables: true }],
  ])('the overlay %s changes the configuration alone', async (name, type, expected) => {
    const objects = await rendered(`kustomize/${name}`);
    expect(rest(objects)).toEqual(rest(base));
    const { 'net-conf.json': text = '', ...others } = dataOf(theOnly(objects, 'ConfigMap'));
    const { 'net-conf.json': _base, ...sameOthers } = dataOf(theOnly(base, 'ConfigMap'));
    expect(others).toEqual(sameOthers);
    const { config, warnings } = parseNetworkConfig(text, { source: 'net-conf.json' });
    expect([...warnings, ...checkBackend(config)]).toEqual([]);
    expect({ ...config }).toMatchObject(expected);
    expect(config.backend.type).toBe(type);
  });

  test('the overlay psp adds the policy', async () => {
    const objects = await rendered('kustomize/psp');
    const added = manifestObjects('packaging/kubernetes/psp/podsecuritypolicy.yml');
    expect(sorted(objects)).toEqual(sorted([...base, ...added]));
  });

  test('the overlay monitoring opens /metrics, and adds what operator and Grafana take', async () => {
    const objects = await rendered('kustomize/monitoring');
    const isAdded = ({ kind, metadata }: (typeof base)[number]) =>
      ['PodMonitor', 'PrometheusRule'].includes(kind) || metadata.name === 'flannel-dashboard';
    const opened = readFileSync(MANIFEST, 'utf8').replace('--healthz-ip=127.0.0.1', '--healthz-ip=0.0.0.0');
    const byName = (list: typeof base) =>
      list.toSorted((a, b) => `${a.kind} ${a.metadata.name}`.localeCompare(`${b.kind} ${b.metadata.name}`));
    expect(byName(objects.filter((object) => !isAdded(object)))).toEqual(byName(objectsOfYaml(opened)));
    const added = await rendered('monitoring');
    expect(byName(objects.filter(isAdded))).toEqual(byName(added));
    for (const [kind, file] of [
      ['PodMonitor', 'podmonitor'],
      ['PrometheusRule', 'prometheusrule'],
    ] as const)
      expect(theOnly(added, kind)).toEqual(
        theOnly(manifestObjects(`packaging/monitoring/${file}.yaml`), kind),
      );
    const map = theOnly(added, 'ConfigMap');
    expect(map.metadata.labels).toEqual({ grafana_dashboard: '1' });
    const file = readFileSync(sourcePath('packaging/monitoring/flannel-dashboard.json'), 'utf8');
    expect(dataOf(map)).toEqual({ 'flannel-dashboard.json': file });
  });

  test('there is no other overlay', () => {
    expect(readdirSync(sourcePath('packaging/kustomize')).sort()).toEqual([
      'dual-stack',
      'host-gw',
      'monitoring',
      'nftables',
      'psp',
      'selector-app',
      'vxlan',
    ]);
  });
});
