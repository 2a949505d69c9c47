import { expect, test } from 'bun:test';
import { createKubeClient, type KubeClient, type WatchEvent } from '#clients/k8s/client.ts';
import { systemClock } from '#base/clock.ts';
import { annotationKeys } from '#subnet/kube/annotations.ts';
import { NODE_SHAPE, nodeSelection, parseNode } from '#subnet/kube/node.ts';
import { fillFatNodes } from '../fat-node.ts';
import { startApiServer, type ApiServer } from '../server.ts';
import { PROTOBUF } from './wire.ts';

const NODES = '/api/v1/nodes';
const select = nodeSelection(annotationKeys(undefined));
const signal = new AbortController().signal;

function connect(server: ApiServer): KubeClient {
  return createKubeClient(
    { server: server.url, source: 'test', insecure: false },
    { clock: systemClock, random: Math.random },
  );
}

test('what is read of fat Nodes is the same in both forms, whole and in pages', async () => {
  await using server = await startApiServer();
  fillFatNodes(server, 60);
  server.nodes.create({ metadata: { name: 'bare' } });
  const client = connect(server);
  const list = (more: { limit: number; shape?: typeof NODE_SHAPE }) =>
    client.list(NODES, { select, signal, reduce: parseNode, ...more });
  const json = await list({ limit: 0 });
  expect(json.items).toHaveLength(61);
  for (const limit of [0, 7, 61]) {
    const { items, resourceVersion } = await list({ limit, shape: NODE_SHAPE });
    expect(items).toEqual(json.items);
    expect(resourceVersion).toBe(json.resourceVersion);
  }
  client.close();
});

test('events and bookmarks of a watch are the same in both forms', async () => {
  await using server = await startApiServer({ bookmarkIntervalMs: 150 });
  fillFatNodes(server, 3);
  const client = connect(server);
  const seen = { json: [] as WatchEvent[], protobuf: [] as WatchEvent[] };
  const stop = new AbortController();
  const watch = (events: WatchEvent[], shape?: typeof NODE_SHAPE) =>
    client
      .watch(NODES, {
        select,
        signal: stop.signal,
        resourceVersion: String(server.store.revision.current - 2),
        onEvent: (event) => void events.push(event),
        ...(shape && { shape }),
      })
      .catch(() => {});
  const both = [watch(seen.json), watch(seen.protobuf, NODE_SHAPE)];
  while (Math.min(seen.json.length, seen.protobuf.length) < 2) await Bun.sleep(5);
  server.nodes.update('node-00001', ({ metadata }) => {
    metadata.annotations = { 'flannel.alpha.coreos.com/public-ip': '192.0.2.1', other: 'ü' };
  });
  server.nodes.delete('node-00002');
  while (Math.min(seen.json.length, seen.protobuf.length) < 5) await Bun.sleep(5);
  stop.abort();
  await Promise.all(both);
  client.close();
  const types = (events: readonly WatchEvent[]) => events.map(({ type }) => type);
  expect(types(seen.json).slice(0, 5)).toEqual(['ADDED', 'ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK']);
  const told = (events: readonly WatchEvent[]) =>
    events.slice(0, 5).map(({ type, object }) => [type, parseNode(object) ?? object]);
  const version = (events: readonly WatchEvent[]) =>
    (events[4]?.object as { metadata: { resourceVersion: string } } | undefined)?.metadata.resourceVersion;
  expect(version(seen.protobuf)).toBe(version(seen.json));
  expect(told(seen.protobuf).slice(0, 4)).toEqual(told(seen.json).slice(0, 4));
});

test('a watch from too far back, and errors, carry their Status in protobuf', async () => {
  await using server = await startApiServer({ historyLimit: 1 });
  fillFatNodes(server, 3);
  const client = connect(server);
  const onEvent = () => {};
  const error = await client
    .watch(NODES, { select, shape: NODE_SHAPE, signal, resourceVersion: '1', onEvent })
    .catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ status: 410, reason: 'Expired' });
  server.faults.answer({ verb: 'list', code: 429, retryAfterSeconds: 2 });
  const refused = await client
    .list(NODES, { select, shape: NODE_SHAPE, signal, reduce: parseNode })
    .catch((thrown: unknown) => thrown);
  expect(refused).toMatchObject({ status: 429, reason: 'TooManyRequests', retryAfter: 2000 });
  client.close();
});

test('a Node of 18 KB of JSON has its full size in protobuf, too', async () => {
  await using server = await startApiServer({ gzip: false });
  fillFatNodes(server, 10);
  const size = async (accept: string) =>
    (await (await fetch(`${server.url}${NODES}`, { headers: { accept } })).bytes()).length / 10;
  // Image names and managed fields are text in both.
  expect(await size('application/json')).toBeWithin(17_000, 20_000);
  expect(await size(PROTOBUF)).toBeWithin(14_000, 17_000);
});
