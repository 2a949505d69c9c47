import { expect, test } from 'bun:test';
import { startApiServer, type ApiServer, type ApiServerOptions } from './server.ts';
import { call, continueOf, metadataOf, names } from './test-client.ts';

async function withNodes(count: number, options: ApiServerOptions = {}): Promise<ApiServer> {
  const server = await startApiServer(options);
  for (let index = 0; index < count; index += 1) {
    server.nodes.create({
      metadata: { name: `n${index}`, labels: { zone: index % 2 === 0 ? 'even' : 'odd' } },
    });
  }
  return server;
}

test('a list has kind, revision and items without kind and apiVersion', async () => {
  await using server = await withNodes(2);
  const { code, body, headers } = await call(server, 'GET /api/v1/nodes');
  expect(code).toBe(200);
  expect(headers.get('content-type')).toBe('application/json');
  expect(body).toMatchObject({ kind: 'NodeList', apiVersion: 'v1', metadata: { resourceVersion: '7' } });
  expect(names(body)).toEqual(['n0', 'n1']);
  expect((body['items'] as object[])[0]).not.toHaveProperty('kind');
  const one = await call(server, 'GET /api/v1/nodes/n0');
  expect(one.body).toMatchObject({
    kind: 'Node',
    apiVersion: 'v1',
    metadata: { name: 'n0', resourceVersion: '6' },
  });
});

test('pages show one snapshot while objects change, come and go', async () => {
  await using server = await withNodes(5);
  const first = await call(server, 'GET /api/v1/nodes?limit=2');
  expect(names(first.body)).toEqual(['n0', 'n1']);
  const { resourceVersion, remainingItemCount } = metadataOf(first.body);
  expect(remainingItemCount).toBe(3);
  server.nodes.create({ metadata: { name: 'n11' } });
  server.nodes.delete('n3');
  server.nodes.update('n2', ({ metadata }) => {
    metadata.labels = { changed: 'yes' };
  });
  const second = await call(server, `GET /api/v1/nodes?limit=2&continue=${continueOf(first.body)}`);
  expect(names(second.body)).toEqual(['n2', 'n3']);
  expect(metadataOf(second.body)['resourceVersion']).toEqual(resourceVersion);
  expect(JSON.stringify(second.body)).not.toContain('changed');
  const third = await call(server, `GET /api/v1/nodes?limit=2&continue=${continueOf(second.body)}`);
  expect(names(third.body)).toEqual(['n4']);
  expect(metadataOf(third.body)).toEqual({ resourceVersion: resourceVersion ?? '' });
  expect(names((await call(server, 'GET /api/v1/nodes')).body)).toEqual(['n0', 'n1', 'n11', 'n2', 'n4']);
});

test('an expired token gets 410 with a token for the inconsistent rest', async () => {
  await using server = await withNodes(4, { historyLimit: 3 });
  const first = await call(server, 'GET /api/v1/nodes?limit=2');
  const path = `GET /api/v1/nodes?limit=2&continue=${continueOf(first.body)}`;
  for (const name of ['x1', 'x2', 'x3']) server.nodes.create({ metadata: { name } });
  expect((await call(server, path)).code).toBe(200);
  server.nodes.create({ metadata: { name: 'x4' } });
  const gone = await call(server, path);
  expect(gone.code).toBe(410);
  expect(gone.body).toMatchObject({ kind: 'Status', status: 'Failure', reason: 'Expired', code: 410 });
  const rest = await call(server, `GET /api/v1/nodes?continue=${continueOf(gone.body)}`);
  expect(names(rest.body)).toEqual(['n2', 'n3', 'x1', 'x2', 'x3', 'x4']);
});

test('selectors by label and field, one by one and together', async () => {
  await using server = await withNodes(4);
  const by = async (query: string) =>
    names((await call(server, `GET /api/v1/nodes?${query}`)).body).join(' ');
  const label = (text: string) => by(`labelSelector=${encodeURIComponent(text)}`);
  expect(await label('zone=even')).toBe('n0 n2');
  expect(await label('zone==odd')).toBe('n1 n3');
  expect(await label('zone!=odd')).toBe('n0 n2');
  expect(await label('zone in (odd, none)')).toBe('n1 n3');
  expect(await label('zone notin (odd,none),zone')).toBe('n0 n2');
  expect(await label('!zone')).toBe('');
  expect(await by('fieldSelector=metadata.name=n3')).toBe('n3');
  expect(await by('fieldSelector=metadata.name!=n3&labelSelector=zone%3Dodd')).toBe('n1');
  expect(await by('fieldSelector=spec.unschedulable%3Dfalse&limit=0')).toBe('n0 n1 n2 n3');
  expect((await call(server, 'GET /api/v1/nodes?fieldSelector=spec.foo%3D1')).code).toBe(400);
  expect((await call(server, 'GET /api/v1/nodes?labelSelector=a%20b')).code).toBe(400);
});

test('pods of a namespace, of a node, and of all namespaces', async () => {
  await using server = await startApiServer();
  server.pods.create({ metadata: { name: 'a' }, spec: { nodeName: 'n1' } });
  server.pods.create({ metadata: { name: 'b', namespace: 'kube-system' }, spec: { nodeName: 'n2' } });
  server.pods.create({ metadata: { name: 'c', namespace: 'kube-system' }, spec: { nodeName: 'n1' } });
  const list = async (path: string) => (await call(server, `GET /api/v1/${path}`)).body;
  expect(names(await list('pods'))).toEqual(['a', 'b', 'c']);
  expect(names(await list('namespaces/kube-system/pods'))).toEqual(['b', 'c']);
  expect(names(await list('pods?fieldSelector=spec.nodeName%3Dn1'))).toEqual(['a', 'c']);
  const page = await list('namespaces/default/pods?limit=1');
  expect([names(page), metadataOf(page)['continue']]).toEqual([['a'], undefined]);
  expect((await call(server, 'GET /api/v1/pods/a')).code).toBe(404);
  expect((await call(server, 'GET /api/v1/namespaces/default/nodes')).code).toBe(404);
});

test('resourceVersion and resourceVersionMatch', async () => {
  await using server = await withNodes(3, { historyLimit: 10 });
  const version = server.store.revision.current;
  server.nodes.delete('n0');
  const ask = (query: string) => call(server, `GET /api/v1/nodes?${query}`);
  expect(names((await ask(`resourceVersion=${version}`)).body)).toEqual(['n1', 'n2']);
  expect(names((await ask(`resourceVersion=${version}&resourceVersionMatch=NotOlderThan`)).body)).toEqual([
    'n1',
    'n2',
  ]);
  const exact = await ask(`resourceVersion=${version}&resourceVersionMatch=Exact`);
  expect(names(exact.body)).toEqual(['n0', 'n1', 'n2']);
  expect(metadataOf(exact.body)['resourceVersion']).toBe(String(version));
  expect(names((await ask(`resourceVersion=${version}&limit=1`)).body)).toEqual(['n0']);
  // The watch cache answers 0, and knows no pages.
  expect(names((await ask('resourceVersion=0&limit=1')).body)).toEqual(['n1', 'n2']);
  expect((await ask('resourceVersion=999')).body).toMatchObject({ code: 504, reason: 'Timeout' });
  expect((await ask('resourceVersion=abc')).code).toBe(400);
  expect((await ask('resourceVersionMatch=Exact')).code).toBe(422);
  expect((await ask('resourceVersion=0&resourceVersionMatch=Exact')).code).toBe(422);
  expect((await ask('continue=rubbish')).code).toBe(400);
  expect((await ask('limit=many')).code).toBe(400);
  server.faults.expireHistory();
  expect((await ask(`resourceVersion=${version}&resourceVersionMatch=Exact`)).code).toBe(410);
});
