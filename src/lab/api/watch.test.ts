import { expect, test } from 'bun:test';
import type { KubeObject } from './object.ts';
import { startApiServer, type ApiServer } from './server.ts';
import { told, WatchClient } from './test-client.ts';

const label = (value: string) => (draft: KubeObject) => {
  draft.metadata.labels = { v: value };
};

const revision = (server: ApiServer) => server.store.revision.current;

test('events come in order with growing revisions, to all watchers alike', async () => {
  await using server = await startApiServer();
  const path = `/api/v1/nodes?resourceVersion=${revision(server)}`;
  await using one = await WatchClient.open(server, path);
  await using two = await WatchClient.open(server, path);
  server.nodes.create({ metadata: { name: 'a' } });
  server.nodes.update('a', label('1'));
  server.pods.create({ metadata: { name: 'other' } });
  server.nodes.create({ metadata: { name: 'b' } });
  server.nodes.delete('a');
  const lines = await one.take(4);
  expect(told(lines)).toEqual(['ADDED a', 'MODIFIED a', 'ADDED b', 'DELETED a']);
  expect(await two.take(4)).toEqual(lines);
  const versions = lines.map(({ object }) => Number(object.metadata.resourceVersion));
  expect(versions).toEqual(versions.toSorted((x, y) => x - y));
  expect(new Set(versions).size).toBe(4);
  expect(lines[0]?.object).toMatchObject({ kind: 'Node', apiVersion: 'v1' });
  // The last state, under the revision of the removal.
  expect(lines[3]?.object.metadata).toMatchObject({
    labels: { v: '1' },
    resourceVersion: String(revision(server)),
  });
});

test('without a revision, and with 0, the state comes first', async () => {
  await using server = await startApiServer();
  server.nodes.create({ metadata: { name: 'b' } });
  server.nodes.create({ metadata: { name: 'a' } });
  for (const query of ['', '?resourceVersion=0']) {
    await using watch = await WatchClient.open(server, `/api/v1/nodes${query}`);
    expect(told(await watch.take(2))).toEqual(['ADDED a', 'ADDED b']);
    server.nodes.update('b', label(query));
    expect((await watch.next()).type).toBe('MODIFIED');
  }
});

test('resumes from any revision that the history holds; from before it gets an ERROR event with 410', async () => {
  await using server = await startApiServer({ historyLimit: 3 });
  const start = revision(server);
  for (const name of ['a', 'b', 'c']) server.nodes.create({ metadata: { name } });
  {
    await using watch = await WatchClient.open(server, `/api/v1/nodes?resourceVersion=${start}`);
    expect(told(await watch.take(3))).toEqual(['ADDED a', 'ADDED b', 'ADDED c']);
  }
  server.nodes.create({ metadata: { name: 'd' } });
  await using late = await WatchClient.open(server, `/api/v1/nodes?resourceVersion=${start}`);
  const error = await late.next();
  expect(error).toMatchObject({ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired' } });
  expect(await late.line()).toBeUndefined();
  await using next = await WatchClient.open(server, `/api/v1/nodes?resourceVersion=${start + 1}`);
  expect(told(await next.take(3))).toEqual(['ADDED b', 'ADDED c', 'ADDED d']);
});

test('bookmarks carry the latest revision to those who allow them, and only to those', async () => {
  await using server = await startApiServer({ bookmarkIntervalMs: 20 });
  const from = `resourceVersion=${revision(server)}`;
  await using plain = await WatchClient.open(server, `/api/v1/nodes?${from}`);
  await using watch = await WatchClient.open(server, `/api/v1/nodes?${from}&allowWatchBookmarks=true`);
  server.pods.create({ metadata: { name: 'elsewhere' } });
  const bookmark = await watch.next();
  expect(bookmark.type).toBe('BOOKMARK');
  expect(bookmark.object).toMatchObject({
    kind: 'Node',
    apiVersion: 'v1',
    metadata: { resourceVersion: String(revision(server)) },
  });
  await watch.next();
  server.nodes.create({ metadata: { name: 'a' } });
  expect((await plain.next()).type).toBe('ADDED');
});

test('a watch ends in order at timeoutSeconds, after a last bookmark', async () => {
  await using server = await startApiServer();
  await using watch = await WatchClient.open(
    server,
    `/api/v1/nodes?resourceVersion=${revision(server)}&timeoutSeconds=1&allowWatchBookmarks=true`,
  );
  const began = performance.now();
  expect((await watch.next()).type).toBe('BOOKMARK');
  expect(await watch.line()).toBeUndefined();
  expect(performance.now() - began).toBeGreaterThan(800);
});

test('objects enter and leave a selection as ADDED and DELETED', async () => {
  await using server = await startApiServer();
  server.nodes.create({ metadata: { name: 'a', labels: { v: 'in' } } });
  await using watch = await WatchClient.open(
    server,
    `/api/v1/nodes?resourceVersion=${revision(server)}&labelSelector=v%3Din`,
  );
  server.nodes.update('a', label('out'));
  server.nodes.update('a', label('still-out'));
  server.nodes.update('a', label('in'));
  server.nodes.update('a', (draft) => {
    draft.metadata.annotations = { x: 'y' };
  });
  server.nodes.delete('a');
  const lines = await watch.take(4);
  expect(told(lines)).toEqual(['DELETED a', 'ADDED a', 'MODIFIED a', 'DELETED a']);
  // The state that was still selected.
  expect(lines[0]?.object.metadata.labels).toEqual({ v: 'in' });
});

test('a single object and a namespace can be watched', async () => {
  await using server = await startApiServer();
  const from = `resourceVersion=${revision(server)}`;
  await using one = await WatchClient.open(server, `/api/v1/nodes?${from}&fieldSelector=metadata.name%3Db`);
  await using pods = await WatchClient.open(server, `/api/v1/namespaces/kube-system/pods?${from}`);
  server.nodes.create({ metadata: { name: 'a' } });
  server.nodes.create({ metadata: { name: 'b' } });
  server.pods.create({ metadata: { name: 'p1' } });
  server.pods.create({ metadata: { name: 'p2', namespace: 'kube-system' } });
  expect(told([await one.next()])).toEqual(['ADDED b']);
  expect(told([await pods.next()])).toEqual(['ADDED p2']);
});

test('a streaming list ends its state with an annotated bookmark', async () => {
  await using server = await startApiServer();
  server.nodes.create({ metadata: { name: 'a' } });
  const query = 'sendInitialEvents=true&allowWatchBookmarks=true';
  await using watch = await WatchClient.open(
    server,
    `/api/v1/nodes?${query}&resourceVersionMatch=NotOlderThan`,
  );
  expect(told([await watch.next()])).toEqual(['ADDED a']);
  expect(await watch.next()).toMatchObject({
    type: 'BOOKMARK',
    object: { metadata: { annotations: { 'k8s.io/initial-events-end': 'true' } } },
  });
  await using refused = await WatchClient.open(server, `/api/v1/nodes?${query}`);
  expect(refused.code).toBe(422);
});

test('a table watch gives rows', async () => {
  await using server = await startApiServer();
  server.nodes.create({ metadata: { name: 'a' } });
  await using watch = await WatchClient.open(server, '/api/v1/nodes', {
    accept: 'application/json;as=Table;v=v1;g=meta.k8s.io',
  });
  expect(JSON.parse((await watch.line()) ?? '')).toMatchObject({
    type: 'ADDED',
    object: { kind: 'Table', rows: [{ object: { metadata: { name: 'a' } } }] },
  });
});

test('a reader that pauses gets everything in the end', async () => {
  await using server = await startApiServer({ historyLimit: 10 });
  await using watch = await WatchClient.open(server, `/api/v1/nodes?resourceVersion=${revision(server)}`);
  const filler = 'x'.repeat(60_000);
  const count = 300;
  for (let index = 0; index < count; index += 1) {
    server.nodes.create({ metadata: { name: `n${index}`, annotations: { filler } } });
  }
  const lines = await watch.take(count);
  expect(told(lines)).toEqual(Array.from({ length: count }, (_, index) => `ADDED n${index}`));
});

test('a watcher that leaves is forgotten', async () => {
  await using server = await startApiServer();
  {
    await using _watch = await WatchClient.open(server, `/api/v1/nodes?resourceVersion=${revision(server)}`);
    expect(server.stats().watches).toBe(1);
  }
  for (let tries = 0; tries < 100 && server.stats().watches > 0; tries += 1) await Bun.sleep(10);
  expect(server.stats().watches).toBe(0);
});
