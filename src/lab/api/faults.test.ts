import { expect, test } from 'bun:test';
import { startApiServer } from './server.ts';
import { call, failureOf, MERGE, told, WatchClient } from './test-client.ts';

test('refuses connections, breaks the open ones, and listens again on the same port', async () => {
  await using server = await startApiServer();
  server.nodes.create({ metadata: { name: 'a' } });
  await using watch = await WatchClient.open(server, '/api/v1/nodes');
  expect(told([await watch.next()])).toEqual(['ADDED a']);
  await server.faults.refuse();
  await failureOf(watch.line());
  expect(await failureOf(call(server, 'GET /api/v1/nodes'))).toMatchObject({ code: 'ECONNREFUSED' });
  expect(server.stats().watches).toBe(0);
  await server.faults.listen();
  await server.faults.listen();
  expect((await call(server, 'GET /api/v1/nodes')).code).toBe(200);
});

test('answers 429 with Retry-After and 5xx as often as told, to whom they are meant for', async () => {
  await using server = await startApiServer();
  server.faults.answer({ code: 429, times: 2, retryAfterSeconds: 3, verb: 'list', resource: 'nodes' });
  server.faults.answer({ code: 502, text: '<html>bad gateway</html>', resource: 'pods' });
  expect((await call(server, 'GET /api/v1/namespaces')).code).toBe(200);
  for (let turn = 0; turn < 2; turn += 1) {
    const reply = await call(server, 'GET /api/v1/nodes');
    expect(reply.headers.get('retry-after')).toBe('3');
    expect(reply.body).toMatchObject({
      kind: 'Status',
      code: 429,
      reason: 'TooManyRequests',
      details: { retryAfterSeconds: 3 },
    });
  }
  expect((await call(server, 'GET /api/v1/nodes')).code).toBe(200);
  const proxy = await fetch(`${server.url}/api/v1/pods`);
  expect([proxy.status, await proxy.text()]).toEqual([502, '<html>bad gateway</html>']);
  server.faults.answer({ code: 503, times: 100 });
  expect((await call(server, 'GET /api/v1/nodes')).body).toMatchObject({
    code: 503,
    reason: 'ServiceUnavailable',
  });
  server.faults.clear();
  expect((await call(server, 'GET /api/v1/nodes')).code).toBe(200);
});

test('cuts watches between events, inside one, and in order', async () => {
  await using server = await startApiServer();
  const path = '/api/v1/nodes?resourceVersion=1000';
  await using abrupt = await WatchClient.open(server, path);
  expect(server.faults.cutWatches()).toBe(1);
  await failureOf(abrupt.line());
  expect(abrupt.rest).toBe('');

  await using middle = await WatchClient.open(server, path);
  server.faults.cutWatches('mid-event');
  await failureOf(middle.line());
  expect(middle.rest).toStartWith('{"type":"MODIFIED","object":');

  await using clean = await WatchClient.open(server, path);
  server.faults.cutWatches('clean');
  expect(await clean.line()).toBeUndefined();
});

test('the last changes are told once more, as they were', async () => {
  await using server = await startApiServer();
  server.nodes.create({ metadata: { name: 'a' } });
  server.nodes.create({ metadata: { name: 'b' } });
  server.nodes.delete('b');
  const revision = server.store.revision.current;
  await using watch = await WatchClient.open(server, `/api/v1/nodes?resourceVersion=${revision}`);
  server.faults.replay(2);
  server.nodes.create({ metadata: { name: 'c' } });
  const told = (await watch.take(3)).map(({ type, object }) => `${type} ${object.metadata.name}`);
  expect(told).toEqual(['ADDED b', 'DELETED b', 'ADDED c']);
});

test('garbage reaches every watch, and the watch goes on', async () => {
  await using server = await startApiServer();
  const from = `?resourceVersion=${server.store.revision.current}`;
  await using watch = await WatchClient.open(server, `/api/v1/nodes${from}`);
  expect(server.faults.garbage()).toBe(1);
  const line = (await watch.line()) ?? '{}';
  expect(() => JSON.parse(line)).toThrow(SyntaxError);
  server.faults.garbage('{"type":"SURPRISE","object":{}}\n');
  expect((await watch.next()).type).toBe('SURPRISE');
  server.nodes.create({ metadata: { name: 'a' } });
  expect(told([await watch.next()])).toEqual(['ADDED a']);
});

test('an expired history gives 410 for every revision known before; running watches go on', async () => {
  await using server = await startApiServer();
  const from = server.store.revision.current;
  await using running = await WatchClient.open(server, `/api/v1/nodes?resourceVersion=${from}`);
  server.faults.expireHistory();
  await using late = await WatchClient.open(server, `/api/v1/nodes?resourceVersion=${from}`);
  expect(await late.next()).toMatchObject({ type: 'ERROR', object: { code: 410 } });
  server.nodes.create({ metadata: { name: 'a' } });
  expect(told([await running.next()])).toEqual(['ADDED a']);
  const list = await call(server, 'GET /api/v1/nodes');
  const { resourceVersion } = list.body['metadata'] as { resourceVersion: string };
  await using fresh = await WatchClient.open(server, `/api/v1/nodes?resourceVersion=${resourceVersion}`);
  server.nodes.delete('a');
  expect(told([await fresh.next()])).toEqual(['DELETED a']);
});

test('stalled watches say nothing until they are let go', async () => {
  await using server = await startApiServer({ bookmarkIntervalMs: 5 });
  const from = `resourceVersion=${server.store.revision.current}`;
  await using old = await WatchClient.open(
    server,
    `/api/v1/nodes?${from}&allowWatchBookmarks=1&timeoutSeconds=1`,
  );
  await old.next();
  server.faults.stallWatches(true);
  await using young = await WatchClient.open(server, `/api/v1/nodes?${from}`);
  server.nodes.create({ metadata: { name: 'a' } });
  const first = young.next();
  const early = await Promise.race([first, Bun.sleep(60)]);
  expect(early).toBeUndefined();
  server.faults.stallWatches(false);
  expect(told([await first])).toEqual(['ADDED a']);
});

test('slow answers, rejected tokens, forbidden verbs', async () => {
  await using server = await startApiServer();
  const began = performance.now();
  server.faults.delay(80, { resource: 'nodes' });
  await call(server, 'GET /api/v1/nodes');
  expect(performance.now() - began).toBeGreaterThan(75);
  server.faults.delay(0);

  server.faults.rejectToken('old');
  const as = (token: string) =>
    call(server, 'GET /api/v1/nodes', { headers: { authorization: `Bearer ${token}` } });
  expect((await as('old')).body).toMatchObject({ kind: 'Status', code: 401, reason: 'Unauthorized' });
  expect((await as('new')).code).toBe(200);
  server.faults.acceptToken('old');
  expect((await as('old')).code).toBe(200);

  server.nodes.create({ metadata: { name: 'a' } });
  server.faults.forbid({ verb: 'patch', resource: 'nodes' });
  const patch = (path: string) => call(server, `PATCH /api/v1/nodes/${path}`, { body: {}, type: MERGE });
  expect((await patch('a')).body).toMatchObject({ code: 403, reason: 'Forbidden' });
  expect((await patch('a/status')).code).toBe(200);
});
