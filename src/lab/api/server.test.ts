import { expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { Mac } from '#net/mac.ts';
import { backendData, fatNode, fatPeer, fillFatNodes } from './fat-node.ts';
import { startFatApi } from './fat-api.ts';
import { startApiServer } from './server.ts';
import { call, continueOf, failureOf, MERGE, names, told, WatchClient } from './test-client.ts';

test('discovery, version, health and access review', async () => {
  await using server = await startApiServer({ token: 'secret' });
  for (const path of ['/healthz', '/livez', '/readyz']) {
    expect(await (await fetch(server.url + path)).text()).toBe('ok');
  }
  const headers = { authorization: 'Bearer secret' };
  const get = async (path: string) => (await call(server, `GET ${path}`, { headers })).body;
  expect(await get('/version')).toMatchObject({ major: '1', gitVersion: expect.stringMatching(/^v1\./) });
  expect(await get('/api')).toMatchObject({ kind: 'APIVersions', versions: ['v1'] });
  const core = await get('/api/v1');
  expect(core).toMatchObject({ kind: 'APIResourceList', groupVersion: 'v1' });
  expect((core['resources'] as { name: string }[]).map(({ name }) => name)).toContain('nodes/status');
  expect(await get('/apis')).toMatchObject({ kind: 'APIGroupList' });
  expect(await get('/apis/coordination.k8s.io/v1')).toMatchObject({ resources: [{ name: 'leases' }] });
  const spec = { resourceAttributes: { verb: 'get', resource: 'nodes' } };
  const review = await call(server, 'POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews', {
    headers,
    body: { spec },
  });
  expect(review).toMatchObject({
    code: 201,
    body: { kind: 'SelfSubjectAccessReview', spec, status: { allowed: true } },
  });
  expect((await fetch(`${server.url}/nowhere`, { headers })).status).toBe(404);
});

test('without its token a request gets 401', async () => {
  await using server = await startApiServer({ token: 'secret' });
  expect((await call(server, 'GET /api/v1/nodes')).code).toBe(401);
  expect((await call(server, 'GET /api/v1/nodes', { headers: { authorization: 'Bearer wrong' } })).code).toBe(
    401,
  );
  expect(
    (await call(server, 'GET /api/v1/nodes', { headers: { authorization: 'Bearer secret' } })).code,
  ).toBe(200);
});

test('answers in JSON what it does not have in protobuf, and 406 when JSON is not accepted', async () => {
  await using server = await startApiServer();
  const protobuf = 'application/vnd.kubernetes.protobuf';
  const as = async (accept: string, plural = 'pods') => {
    const response = await fetch(`${server.url}/api/v1/${plural}`, { headers: { accept } });
    await response.bytes();
    return [response.status, response.headers.get('content-type')];
  };
  expect(await as(`${protobuf},application/json`)).toEqual([200, 'application/json']);
  expect(await as('*/*')).toEqual([200, 'application/json']);
  expect(await as(protobuf)).toEqual([406, protobuf]);
  expect(await as(`${protobuf}, application/json`, 'nodes')).toEqual([200, protobuf]);
  expect(await as(`application/json, ${protobuf}`, 'nodes')).toEqual([200, 'application/json']);
});

test('tables and bare metadata', async () => {
  await using server = await startApiServer();
  const conditions = [{ type: 'Ready', status: 'True' }];
  const addresses = [{ type: 'InternalIP', address: '192.0.2.7' }];
  server.nodes.create({ metadata: { name: 'n1' }, status: { conditions, addresses } });
  const as = async (kind: string, path: string) =>
    (
      await call(server, `GET ${path}`, {
        headers: { accept: `application/json;as=${kind};v=v1;g=meta.k8s.io,application/json` },
      })
    ).body;
  const list = await as('Table', '/api/v1/nodes');
  expect(list).toMatchObject({
    kind: 'Table',
    rows: [{ object: { kind: 'PartialObjectMetadata', metadata: { name: 'n1' } } }],
  });
  const columns = (list['columnDefinitions'] as { name: string; priority: number }[]).map(
    ({ name, priority }) => `${name}:${priority}`,
  );
  const [row] = list['rows'] as { cells: string[] }[];
  const cells = Object.fromEntries(columns.map((column, at) => [column, row?.cells[at]]));
  expect(cells).toMatchObject({
    'Name:0': 'n1',
    'Status:0': 'Ready',
    'Roles:0': '<none>',
    'Internal-IP:1': '192.0.2.7',
  });
  expect(await as('Table', '/api/v1/nodes/n1')).toMatchObject({ kind: 'Table', rows: [{}] });
  const metadata = await as('PartialObjectMetadataList', '/api/v1/nodes');
  expect(metadata).toMatchObject({
    kind: 'PartialObjectMetadataList',
    items: [{ metadata: { name: 'n1' } }],
  });
  expect(JSON.stringify(metadata)).not.toContain('192.0.2.7');
});

test('large answers are compressed for those who accept it, small ones never', async () => {
  await using server = await startApiServer();
  fillFatNodes(server, 20);
  const raw = (path: string, accept: string) =>
    fetch(`${server.url}/api/v1/nodes${path}`, { headers: { 'accept-encoding': accept }, decompress: false });
  const plain = await raw('', 'identity');
  expect(plain.headers.get('content-encoding')).toBeNull();
  const text = await plain.text();
  for (let turn = 0; turn < 2; turn += 1) {
    const packed = await raw('', 'deflate, gzip');
    expect(packed.headers.get('content-encoding')).toBe('gzip');
    expect(new TextDecoder().decode(Bun.gunzipSync(await packed.arrayBuffer()))).toBe(text);
  }
  expect((await raw('?limit=1', 'gzip')).headers.get('content-encoding')).toBeNull();
  // A change must not be answered from what was compressed before.
  server.nodes.delete('node-00003');
  const after = await raw('', 'gzip');
  expect(new TextDecoder().decode(Bun.gunzipSync(await after.arrayBuffer()))).not.toContain('"node-00003"');
});

test('the request log counts by verb and resource', async () => {
  await using server = await startApiServer();
  server.nodes.create({ metadata: { name: 'a' } });
  await call(server, 'GET /api/v1/nodes?limit=1');
  await call(server, 'GET /api/v1/nodes/a');
  await call(server, 'GET /api/v1/nodes/b');
  await call(server, 'PATCH /api/v1/nodes/a/status', { body: {}, type: MERGE });
  await call(server, 'GET /api/v1/namespaces/default/pods/p');
  {
    await using _watch = await WatchClient.open(server, '/api/v1/nodes');
  }
  expect(server.requests.counts()).toEqual({
    'list nodes': 1,
    'get nodes': 2,
    'patch nodes/status': 1,
    'get pods': 1,
    'watch nodes': 1,
  });
  expect(server.requests.list().map(({ code }) => code)).toEqual([200, 200, 404, 200, 404, 200]);
  expect(server.requests.list()[0]).toMatchObject({ verb: 'list', resource: 'nodes', query: 'limit=1' });
});

test('a hostile request line is refused, and the server lives on', async () => {
  await using server = await startApiServer();
  for (const target of [
    '/api/v1/nodes/%E0%A4%A',
    '/api/v1/nodes/__proto__',
    '//api',
    '/api/v1/nodes/../../etc',
  ]) {
    const socket = connect(server.port, '127.0.0.1');
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    socket.once('data', (data: Buffer) => resolve(data.toString()));
    socket.once('error', reject);
    socket.write(`GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`);
    expect(await promise).toMatch(/^HTTP\/1.1 40[04] /);
    socket.destroy();
  }
  expect((await call(server, 'GET /api/v1/nodes')).code).toBe(200);
});

test('a port in use is named', async () => {
  await using server = await startApiServer();
  expect(await failureOf(startApiServer({ port: server.port }))).toMatchObject({
    message: `the API server cannot listen on 127.0.0.1 port ${server.port}`,
    actor: 'operator',
  });
});

test('the listening socket is bound before `within` returns', async () => {
  // A namespace that is switched around the opening depends on it. State 0A is LISTEN (net/tcp_states.h).
  const listening = () =>
    readFileSync('/proc/net/tcp', 'utf8').match(/^ *\d+: 0100007F:[0-9A-F]{4} \S+ 0A/gm) ?? [];
  const bound: number[] = [];
  await using server = await startApiServer({
    within: (open) => {
      const result = open();
      bound.push(...listening().map((line) => Number.parseInt(line.split(':')[2] ?? '', 16)));
      return result;
    },
  });
  expect(bound).toContain(server.port);
  await server.faults.refuse();
  bound.length = 0;
  await server.faults.listen();
  expect(bound).toContain(server.port);
  expect((await call(server, 'GET /api/v1/nodes')).code).toBe(200);
});

test('objects handed out are copies', async () => {
  await using server = await startApiServer();
  const input = { metadata: { name: 'a', annotations: { x: '1' } } };
  const made = server.nodes.create(input);
  made.metadata.annotations = {};
  input.metadata.annotations.x = '2';
  expect(server.nodes.get('a')?.metadata.annotations).toEqual({ x: '1' });
  expect(() => server.nodes.update('b', () => {})).toThrow(expect.objectContaining({ code: 404 }));
  expect(() => server.nodes.create(input)).toThrow(expect.objectContaining({ code: 409 }));
});

test('a fat Node is about 18 KB, unique in network, MAC and address, and the same each time', () => {
  const text = JSON.stringify(fatNode(300));
  expect(text.length).toBeGreaterThan(17_000);
  expect(text.length).toBeLessThan(19_500);
  expect(JSON.stringify(fatNode(300))).toBe(text);
  expect(fatNode(300)).toMatchObject({
    metadata: {
      annotations: {
        'flannel.alpha.coreos.com/kube-subnet-manager': 'true',
        'flannel.alpha.coreos.com/backend-type': 'vxlan',
        'flannel.alpha.coreos.com/backend-data': '{"VNI":1,"VtepMAC":"0e:f1:a0:00:01:2c"}',
        'flannel.alpha.coreos.com/public-ip': '172.16.1.45',
      },
    },
    spec: { podCIDR: '10.1.44.0/24', podCIDRs: ['10.1.44.0/24'] },
  });
  expect(fatNode(0).status?.['images']).toHaveLength(40);
  const peers = Array.from({ length: 5000 }, (_, index) => fatPeer(index));
  for (const field of ['name', 'podCidr', 'publicIp', 'vtepMac'] as const) {
    expect(new Set(peers.map((peer) => String(peer[field]))).size).toBe(5000);
  }
  expect(() => fatPeer(65_536)).toThrow('no index of a fat Node');
});

test('the fat server pages, and a touched Node reaches its watchers', async () => {
  await using server = await startFatApi({ nodes: 30, port: 0, gzip: false });
  const first = await call(server, 'GET /api/v1/nodes?limit=20');
  const second = await call(server, `GET /api/v1/nodes?limit=20&continue=${continueOf(first.body)}`);
  expect([...names(first.body), ...names(second.body)]).toEqual(
    Array.from({ length: 30 }, (_, index) => fatPeer(index).name),
  );
  await using watch = await WatchClient.open(
    server,
    `/api/v1/nodes?resourceVersion=${server.store.revision.current}`,
  );
  const touched = await call(server, 'POST /-/touch?node=node-00007');
  const event = await watch.next();
  expect(told([event])).toEqual(['MODIFIED node-00007']);
  const { vtepMac } = touched.body as { vtepMac: string };
  expect(event.object.metadata.annotations?.['flannel.alpha.coreos.com/backend-data']).toBe(
    backendData(Mac.parse(vtepMac)),
  );
  expect((await call(server, 'POST /-/touch?node=none')).code).toBe(404);
  expect((await call(server, 'GET /-/nothing')).code).toBe(404);
  const stats = await call(server, 'GET /-/stats');
  expect(stats.body).toMatchObject({ watches: 1, requests: { 'list nodes': 2, 'watch nodes': 1 } });
  expect(stats.body['bytesSent']).toBeGreaterThan(30 * 17_000);
});
