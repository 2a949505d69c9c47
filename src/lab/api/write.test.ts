import { expect, test } from 'bun:test';
import { startApiServer } from './server.ts';
import { call, JSON_PATCH, MERGE, metadataOf, STRATEGIC, WatchClient } from './test-client.ts';

const NODE = { metadata: { name: 'n1' }, spec: { podCIDR: '10.1.0.0/24' } };

test('create gives uid, time and revision, and both forms of the pod network', async () => {
  await using server = await startApiServer();
  const made = await call(server, 'POST /api/v1/nodes', {
    body: { kind: 'Node', apiVersion: 'v1', ...NODE, status: { phase: 'x' } },
  });
  expect(made.code).toBe(201);
  expect(made.body).toMatchObject({
    kind: 'Node',
    spec: { podCIDR: '10.1.0.0/24', podCIDRs: ['10.1.0.0/24'] },
    status: { phase: 'x' },
  });
  const { uid, creationTimestamp, resourceVersion } = metadataOf(made.body);
  expect(uid).toMatch(/^[0-9a-f-]{36}$/);
  expect(creationTimestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  expect(resourceVersion).toBe(String(server.store.revision.current));
  const again = await call(server, 'POST /api/v1/nodes', { body: NODE });
  expect(again.body).toMatchObject({
    kind: 'Status',
    code: 409,
    reason: 'AlreadyExists',
    details: { name: 'n1', kind: 'nodes' },
  });
});

test.each([
  ['a body that is no JSON', '{', 400],
  ['a list', '[]', 400],
  ['another kind', { kind: 'Pod', metadata: { name: 'x' } }, 400],
  ['a number as annotation', { metadata: { name: 'x', annotations: { a: 1 } } }, 400],
  ['a revision', { metadata: { name: 'x', resourceVersion: '3' } }, 400],
  ['no name', { metadata: {} }, 422],
  ['a bad name', { metadata: { name: 'Not_A_Name' } }, 422],
  ['a bad annotation key', { metadata: { name: 'x', annotations: { 'a b': '1' } } }, 422],
  ['a bad label', { metadata: { name: 'x', labels: { a: 'b c' } } }, 422],
  ['annotations past 256 KiB', { metadata: { name: 'x', annotations: { a: 'x'.repeat(262_144) } } }, 422],
  [
    'pod networks that disagree',
    { metadata: { name: 'x' }, spec: { podCIDR: '10.1.0.0/24', podCIDRs: ['10.2.0.0/24'] } },
    422,
  ],
])('create refuses %s', async (_name, body, code) => {
  await using server = await startApiServer();
  const reply = await call(server, 'POST /api/v1/nodes', { body });
  expect(reply.body).toMatchObject({ kind: 'Status', apiVersion: 'v1', status: 'Failure', code });
  expect(reply.code).toBe(code);
  expect(server.nodes.list()).toEqual([]);
});

test('a pod is created pending, in a namespace that exists, also under a generated name', async () => {
  await using server = await startApiServer();
  const body = { metadata: { generateName: 'web-' }, spec: { containers: [] }, status: { phase: 'Running' } };
  const made = await call(server, 'POST /api/v1/namespaces/default/pods', { body });
  expect(made.body).toMatchObject({ metadata: { namespace: 'default' }, status: { phase: 'Pending' } });
  expect(metadataOf(made.body)['name']).toMatch(/^web-[0-9a-f]{5}$/);
  expect((await call(server, 'POST /api/v1/namespaces/none/pods', { body })).code).toBe(404);
  expect((await call(server, 'POST /api/v1/pods', { body })).code).toBe(405);
});

test('update: revision, uid and name must fit; status is kept', async () => {
  await using server = await startApiServer();
  const made = server.nodes.create({
    ...NODE,
    spec: { podCIDR: '10.1.0.0/24', podCIDRs: ['10.1.0.0/24'] },
    status: { a: 1 },
  });
  const put = (body: unknown) => call(server, 'PUT /api/v1/nodes/n1', { body });
  const changed = await put({
    ...made,
    metadata: { ...made.metadata, labels: { a: 'b' } },
    status: { a: 2 },
  });
  expect(changed.body).toMatchObject({
    metadata: { labels: { a: 'b' }, uid: made.metadata.uid },
    status: { a: 1 },
  });
  const stale = await put({ ...made, metadata: { ...made.metadata, labels: { a: 'c' } } });
  expect(stale.code).toBe(409);
  expect(stale.body).toMatchObject({ reason: 'Conflict', details: { name: 'n1', kind: 'nodes' } });
  expect(stale.body['message']).toContain(
    'the object has been modified; please apply your changes to the latest version',
  );
  expect((await put({ ...NODE, metadata: { name: 'n1', uid: 'other' } })).code).toBe(409);
  expect((await put({ ...NODE, metadata: { name: 'n2' } })).code).toBe(400);
  expect((await put({ ...NODE, spec: { podCIDR: '10.9.0.0/24' } })).code).toBe(422);
  expect((await call(server, 'PUT /api/v1/nodes/n2', { body: { metadata: { name: 'n2' } } })).code).toBe(404);
  // Without a revision the write is unconditional.
  expect((await put(NODE)).code).toBe(200);
});

test('a status patch takes status, annotations and labels, and leaves the spec', async () => {
  await using server = await startApiServer();
  server.nodes.create({
    ...NODE,
    metadata: { name: 'n1', annotations: { old: '1' } },
    status: { conditions: [{ type: 'Ready', status: 'True', reason: 'r' }] },
  });
  const body = {
    metadata: { annotations: { 'flannel.alpha.coreos.com/public-ip': '192.0.2.1' } },
    spec: { unschedulable: true },
    status: { conditions: [{ type: 'NetworkUnavailable', status: 'False' }] },
  };
  const reply = await call(server, 'PATCH /api/v1/nodes/n1/status', { body, type: STRATEGIC });
  expect(reply.code).toBe(200);
  const stored = server.nodes.get('n1');
  expect(stored).toMatchObject({
    metadata: { annotations: { old: '1', 'flannel.alpha.coreos.com/public-ip': '192.0.2.1' } },
    status: {
      conditions: [
        { type: 'Ready', status: 'True', reason: 'r' },
        { type: 'NetworkUnavailable', status: 'False' },
      ],
    },
  });
  expect(stored?.spec).toEqual({ podCIDR: '10.1.0.0/24' });
});

test('a patch of the main resource leaves the status', async () => {
  await using server = await startApiServer();
  server.nodes.create({ ...NODE, status: { phase: 'a' } });
  const body = { spec: { unschedulable: true }, status: { phase: 'b' } };
  const reply = await call(server, 'PATCH /api/v1/nodes/n1', { body, type: MERGE });
  expect(reply.body).toMatchObject({ spec: { unschedulable: true }, status: { phase: 'a' } });
});

test('a patch with a revision is conditional; one that changes nothing is silent', async () => {
  await using server = await startApiServer();
  const made = server.nodes.create({ metadata: { name: 'n1', annotations: { a: '1' } } });
  const { resourceVersion = '' } = made.metadata;
  await using watch = await WatchClient.open(server, `/api/v1/nodes?resourceVersion=${resourceVersion}`);
  const patch = (metadata: object, type = MERGE) =>
    call(server, 'PATCH /api/v1/nodes/n1/status', { body: { metadata }, type });
  expect(metadataOf((await patch({ annotations: { a: '1' } })).body)['resourceVersion']).toBe(
    resourceVersion,
  );
  expect((await patch({ resourceVersion, annotations: { a: '2' } })).code).toBe(200);
  expect((await patch({ resourceVersion, annotations: { a: '3' } })).code).toBe(409);
  expect((await patch({ resourceVersion, annotations: { a: '3' } }, STRATEGIC)).code).toBe(409);
  expect((await watch.next()).object.metadata.annotations).toEqual({ a: '2' });
});

test('JSON patch over HTTP', async () => {
  await using server = await startApiServer();
  server.nodes.create({ metadata: { name: 'n1', annotations: { 'a/b': '1' } } });
  const patch = (body: unknown) => call(server, 'PATCH /api/v1/nodes/n1', { body, type: JSON_PATCH });
  const done = await patch([
    { op: 'test', path: '/metadata/annotations/a~1b', value: '1' },
    { op: 'replace', path: '/metadata/annotations/a~1b', value: '2' },
  ]);
  expect(done.body).toMatchObject({ metadata: { annotations: { 'a/b': '2' } } });
  expect((await patch([{ op: 'test', path: '/metadata/annotations/a~1b', value: '1' }])).body).toMatchObject({
    code: 422,
    reason: 'Invalid',
  });
  expect((await patch([{ op: 'replace', path: '/metadata/annotations/a~1b', value: 2 }])).code).toBe(400);
  expect((await patch([{ op: 'replace', path: '', value: null }])).code).toBe(400);
  expect((await patch([{ op: 'replace', path: '/metadata/name', value: 'n2' }])).code).toBe(400);
});

test('delete answers with a Status, pods with themselves; preconditions and finalizers hold', async () => {
  await using server = await startApiServer();
  server.nodes.create(NODE);
  server.pods.create({ metadata: { name: 'p' } });
  server.pods.create({ metadata: { name: 'held', finalizers: ['a/b'] } });
  const refused = await call(server, 'DELETE /api/v1/nodes/n1', {
    body: { preconditions: { uid: 'other' } },
  });
  expect(refused.code).toBe(409);
  const gone = await call(server, 'DELETE /api/v1/nodes/n1');
  expect(gone.body).toMatchObject({
    kind: 'Status',
    status: 'Success',
    details: { name: 'n1', kind: 'nodes' },
  });
  expect((await call(server, 'DELETE /api/v1/nodes/n1')).body).toMatchObject({
    code: 404,
    reason: 'NotFound',
  });
  expect((await call(server, 'DELETE /api/v1/namespaces/default/pods/p')).body).toMatchObject({
    kind: 'Pod',
  });
  await call(server, 'DELETE /api/v1/namespaces/default/pods/held');
  expect(server.pods.get('held')?.metadata.deletionTimestamp).toBeString();
  await call(server, 'PATCH /api/v1/namespaces/default/pods/held', {
    body: { metadata: { finalizers: null } },
    type: MERGE,
  });
  expect(server.pods.get('held')).toBeUndefined();
});

test('404, 405, 415, 413 and dry runs', async () => {
  await using server = await startApiServer();
  const code = async (request: string, options = {}) => {
    const { code, body } = await call(server, request, options);
    expect(body).toMatchObject({ kind: 'Status', code });
    return code;
  };
  expect(await code('GET /api/v1/widgets')).toBe(404);
  expect(await code('GET /apis/apps/v1/deployments')).toBe(404);
  expect(await code('GET /api/v1/nodes/none')).toBe(404);
  expect(await code('GET /api/v1/nodes/none/proxy')).toBe(404);
  expect(await code('PUT /api/v1/nodes', { body: NODE })).toBe(405);
  expect(await code('POST /api/v1/nodes/n1', { body: NODE })).toBe(405);
  expect(await code('POST /api/v1/nodes', { body: 'x', type: 'text/plain' })).toBe(415);
  server.nodes.create(NODE);
  expect(await code('PATCH /api/v1/nodes/n1', { body: {} })).toBe(415);
  expect(await code('PATCH /api/v1/nodes/n1', { body: {}, type: 'application/apply-patch+yaml' })).toBe(415);
  expect(await code('POST /api/v1/nodes', { body: `"${'x'.repeat(3 * 1024 * 1024)}"` })).toBe(413);
  await call(server, 'POST /api/v1/nodes?dryRun=All', { body: { metadata: { name: 'dry' } } });
  await call(server, 'DELETE /api/v1/nodes/n1?dryRun=All');
  expect(server.nodes.list().map(({ metadata }) => metadata.name)).toEqual(['n1']);
});

test('deleting a namespace takes its objects along', async () => {
  await using server = await startApiServer();
  await call(server, 'POST /api/v1/namespaces', { body: { metadata: { name: 'apps' } } });
  server.pods.create({ metadata: { name: 'p', namespace: 'apps' } });
  server.pods.create({ metadata: { name: 'q' } });
  expect((await call(server, 'DELETE /api/v1/namespaces/apps')).code).toBe(200);
  expect(server.pods.list().map(({ metadata }) => metadata.name)).toEqual(['q']);
});

const DAEMON = {
  metadata: { name: 'd' },
  spec: { selector: { matchLabels: { app: 'a' } }, template: { metadata: { labels: { app: 'a', b: 'c' } } } },
};
const BINDING = { metadata: { name: 'b' }, roleRef: { kind: 'ClusterRole', name: 'r' } };

test.each([
  ['daemonsets', '/apis/apps/v1/namespaces/default/daemonsets', DAEMON],
  ['clusterrolebindings', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', BINDING],
])('%s: what counts for ever cannot be changed, everything else can', async (_name, path, object) => {
  await using server = await startApiServer();
  expect((await call(server, `POST ${path}`, { body: object })).code).toBe(201);
  const { name } = object.metadata;
  const change = (body: unknown) => call(server, `PATCH ${path}/${name}`, { body, type: MERGE });
  const selector = { spec: { selector: { matchLabels: { b: 'c' } } } };
  const refused = await change('spec' in object ? selector : { roleRef: { name: 'other' } });
  expect([refused.code, refused.body['message']]).toEqual([
    422,
    expect.stringContaining('field is immutable'),
  ]);
  expect((await change({ metadata: { labels: { x: 'y' } } })).code).toBe(200);
});

test('a DaemonSet that does not select its own pods is refused', async () => {
  await using server = await startApiServer();
  const path = '/apis/apps/v1/namespaces/default/daemonsets';
  const post = (spec: unknown) => call(server, `POST ${path}`, { body: { metadata: { name: 'd' }, spec } });
  const { template } = DAEMON.spec;
  for (const selector of [{}, { matchLabels: {} }, { matchLabels: { app: 'other' } }])
    expect((await post({ selector, template })).code).toBe(422);
  expect((await call(server, `POST ${path}`, { body: DAEMON })).code).toBe(201);
  const labels = { spec: { template: { metadata: { labels: { app: 'b' } } } } };
  expect((await call(server, `PATCH ${path}/d`, { body: labels, type: STRATEGIC })).code).toBe(422);
});
