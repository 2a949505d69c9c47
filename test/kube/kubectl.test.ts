import { afterAll, beforeAll, expect, test } from 'bun:test';
import { startApiServer, type ApiServer } from '#lab/api/server.ts';
import { Kubectl } from '../support/kubectl.ts';

let server: ApiServer;
let tool: Kubectl;

beforeAll(async () => {
  server = await startApiServer();
  tool = new Kubectl(server.url);
  server.nodes.create({
    metadata: { name: 'n1', labels: { 'node-role.kubernetes.io/control-plane': '' } },
    spec: { podCIDR: '10.244.0.0/24', podCIDRs: ['10.244.0.0/24'] },
    status: {
      addresses: [{ type: 'InternalIP', address: '192.0.2.1' }],
      conditions: [{ type: 'Ready', status: 'True', reason: 'KubeletReady', message: 'kubelet is ready' }],
      nodeInfo: {
        kubeletVersion: 'v1.32.0',
        osImage: 'Debian 12',
        kernelVersion: '6.1.0',
        containerRuntimeVersion: 'containerd://1.7',
      },
    },
  });
  server.pods.create({
    metadata: { name: 'web', namespace: 'kube-system' },
    spec: { nodeName: 'n1', containers: [{ name: 'c', image: 'x' }] },
    status: { phase: 'Running', podIP: '10.244.0.2', containerStatuses: [{ ready: true, restartCount: 2 }] },
  });
});

afterAll(async () => {
  await server.close();
  tool[Symbol.dispose]();
});

const kubectl = (...args: string[]) => tool.run(...args);
const ok = (...args: string[]) => tool.ok(...args);
const manifest = (name: string, text: string) => tool.write(name, text);

/** Rows of a table by column. */
function rows(table: string): string[][] {
  return table
    .trimEnd()
    .split('\n')
    .map((line) => line.split(/\s{2,}/));
}

test('get nodes -o wide', async () => {
  const [head, row] = rows(await ok('get', 'nodes', '-o', 'wide'));
  expect(head?.slice(0, 7)).toEqual([
    'NAME',
    'STATUS',
    'ROLES',
    'AGE',
    'VERSION',
    'INTERNAL-IP',
    'EXTERNAL-IP',
  ]);
  expect(row?.toSpliced(3, 1)).toEqual([
    'n1',
    'Ready',
    'control-plane',
    'v1.32.0',
    '192.0.2.1',
    '<none>',
    'Debian 12',
    '6.1.0',
    'containerd://1.7',
  ]);
});

test('get pods -A', async () => {
  const [head, row] = rows(await ok('get', 'pods', '-A'));
  expect(head).toEqual(['NAMESPACE', 'NAME', 'READY', 'STATUS', 'RESTARTS', 'AGE']);
  expect(row?.slice(0, 5)).toEqual(['kube-system', 'web', '1/1', 'Running', '2']);
});

test('describe node', async () => {
  const text = await ok('describe', 'node', 'n1');
  expect(text).toMatch(/^PodCIDR:\s+10\.244\.0\.0\/24$/m);
  expect(text).toMatch(/^\s+Ready\s+True\s.*KubeletReady/m);
  expect(text).toMatch(/^\s+kube-system\s+web\s/m);
});

test('annotate, and once more without --overwrite', async () => {
  await ok('annotate', 'node', 'n1', 'flannel.alpha.coreos.com/public-ip-overwrite=203.0.113.1');
  expect(server.nodes.get('n1')?.metadata.annotations).toMatchObject({
    'flannel.alpha.coreos.com/public-ip-overwrite': '203.0.113.1',
  });
  expect(
    (await kubectl('annotate', 'node', 'n1', 'flannel.alpha.coreos.com/public-ip-overwrite=203.0.113.2'))
      .code,
  ).not.toBe(0);
  await ok('annotate', 'node', 'n1', 'flannel.alpha.coreos.com/public-ip-overwrite-');
  expect(server.nodes.get('n1')?.metadata.annotations ?? {}).toEqual({});
});

test.each(['strategic', 'merge', 'json'])('patch --subresource=status --type=%s', async (type) => {
  // kubectl before 1.24, Debian 12's too; the server's own tests send these patches without it.
  if (!(await ok('patch', '--help')).includes('--subresource')) {
    console.log('skipped: this kubectl lacks --subresource');
    return;
  }
  const condition = { type: 'NetworkUnavailable', status: 'False', reason: type };
  const ready = { type: 'Ready', status: 'True', reason: 'KubeletReady', message: 'kubelet is ready' };
  const patches: Record<string, unknown> = {
    strategic: { status: { conditions: [condition] } },
    merge: { status: { conditions: [ready, condition] } },
    json: [{ op: 'replace', path: '/status/conditions', value: [ready, condition] }],
  };
  await ok(
    'patch',
    'node',
    'n1',
    '--subresource=status',
    `--type=${type}`,
    '-p',
    JSON.stringify(patches[type]),
  );
  expect(server.nodes.get('n1')?.status?.['conditions']).toEqual([ready, condition]);
});

test('create, apply, edit by patch, taint, cordon and delete a Node, with validation on', async () => {
  const path = manifest(
    'n2.yaml',
    'apiVersion: v1\nkind: Node\nmetadata:\n  name: n2\n  labels:\n    a: b\nspec:\n  podCIDR: 10.244.1.0/24\n',
  );
  expect(await ok('create', '-f', path)).toBe('node/n2 created\n');
  expect((await kubectl('create', '-f', path)).err).toContain('AlreadyExists');
  const changed = manifest(
    'n2.yaml',
    'apiVersion: v1\nkind: Node\nmetadata:\n  name: n2\n  labels:\n    a: c\nspec:\n  podCIDR: 10.244.1.0/24\n',
  );
  expect(await ok('apply', '-f', changed)).toBe('node/n2 configured\n');
  expect(await ok('apply', '-f', changed)).toBe('node/n2 unchanged\n');
  expect(server.nodes.get('n2')?.metadata.labels).toEqual({ a: 'c' });
  await ok('taint', 'node', 'n2', 'k=v:NoSchedule');
  await ok('cordon', 'n2');
  expect(server.nodes.get('n2')?.spec).toMatchObject({ unschedulable: true, podCIDRs: ['10.244.1.0/24'] });
  expect(await ok('get', 'nodes', '-l', 'a=c', '-o', 'name')).toBe('node/n2\n');
  expect(await ok('delete', 'node', 'n2')).toContain('"n2" deleted');
  expect(server.nodes.get('n2')).toBeUndefined();
  expect((await kubectl('get', 'node', 'n2')).err).toContain('NotFound');
});

test('create and delete a Pod, a Namespace and a ConfigMap from manifests', async () => {
  const text = [
    'apiVersion: v1\nkind: Namespace\nmetadata:\n  name: apps\n',
    'apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n  namespace: apps\nspec:\n  containers:\n  - name: c\n    image: x\n',
    'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: m\n  namespace: apps\ndata:\n  k: v\n',
  ].join('---\n');
  const path = manifest('apps.yaml', text);
  expect(await ok('create', '-f', path)).toBe('namespace/apps created\npod/p created\nconfigmap/m created\n');
  expect(await ok('get', 'configmap', 'm', '-n', 'apps', '-o', 'jsonpath={.data.k}')).toBe('v');
  expect(server.pods.get('p', 'apps')?.status?.['phase']).toBe('Pending');
  await ok('delete', 'pod', 'p', '-n', 'apps');
  expect(server.pods.get('p', 'apps')).toBeUndefined();
  await ok('delete', 'namespace', 'apps');
  expect(server.configmaps.get('m', 'apps')).toBeUndefined();
});

test('wait sees a condition by its watch', async () => {
  const waiting = ok('wait', 'node/n1', '--for=condition=Draining', '--timeout=10s');
  for (let tries = 0; tries < 200 && server.stats().watches === 0; tries += 1) await Bun.sleep(20);
  expect(server.stats().watches).toBe(1);
  server.nodes.update('n1', (draft) => {
    const conditions = draft.status?.['conditions'];
    if (!Array.isArray(conditions)) throw new Error('n1 has no conditions');
    conditions.push({ type: 'Draining', status: 'True' });
  });
  expect(await waiting).toContain('node/n1 condition met');
});

test('auth can-i, version, api-resources and raw paths', async () => {
  expect((await kubectl('auth', 'can-i', 'list', 'nodes')).out).toBe('yes\n');
  expect(await ok('version')).toMatch(/^Server Version: .*v1\.\d+\.\d+/m);
  expect(await ok('api-resources', '-o', 'name')).toContain('nodes\n');
  expect(await ok('get', '--raw', '/readyz')).toBe('ok');
});
