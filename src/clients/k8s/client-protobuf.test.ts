import { afterEach, beforeEach, expect, test } from 'bun:test';
import { createKubeClient, type KubeClient, type WatchEvent } from './client.ts';
import { ApiError, TransportError } from './errors.ts';
import { FakeApi, fakeNode, fastClock } from './fake-api.ts';
import { LIST_BYTES, STATUS_BYTES, WATCH_BYTES } from './protobuf-fixtures.ts';
import { OBJECT_META } from './protobuf-shapes.ts';
import { ProtobufError, type MessageShape } from './protobuf.ts';
import { ALL, members } from './selection.ts';

const NODES = '/api/v1/nodes';
const PROTOBUF = 'application/vnd.kubernetes.protobuf';
const BOTH = `${PROTOBUF}, application/json`;
const select = members({ metadata: members({ name: ALL, resourceVersion: ALL }) });
const shape: MessageShape = { 1: ['metadata', OBJECT_META] };
const signal = new AbortController().signal;
let api: FakeApi;
let client: KubeClient;

beforeEach(() => {
  api = new FakeApi();
  client = createKubeClient(
    { server: api.url, source: 'test', insecure: false },
    { clock: fastClock, random: Math.random, watchTimeout: 5000, timeout: 5000 },
  );
});

afterEach(async () => {
  client.close();
  await api.stop();
});

const reduce = (item: unknown) => (item as { metadata: { name: string } }).metadata.name;
const names = () => client.list(NODES, { select, shape, signal, limit: 10, reduce });
const accepted = () => api.requests.map(({ headers }) => headers.get('accept'));

function answer(bytes: Uint8Array, status = 200, type = PROTOBUF): Response {
  return new Response(new Uint8Array(bytes), { status, headers: { 'content-type': type } });
}

test('a list in protobuf, page by page', async () => {
  const last = { kind: 'NodeList', metadata: { resourceVersion: '101' }, items: [fakeNode(1)] };
  api.intercept = ({ url }) =>
    url.searchParams.get('continue') === 'tok' ? Response.json(last) : answer(LIST_BYTES);
  // The second page is in JSON: each answer says itself what it is.
  expect(await names()).toEqual({ items: ['n2', 'n3', 'n1'], resourceVersion: '101' });
  expect(accepted()).toEqual([BOTH, BOTH]);
});

test('a server that knows JSON alone is understood; without a shape nothing else is asked for', async () => {
  api.put(fakeNode(1));
  expect((await names()).items).toEqual(['n1']);
  await client.list(NODES, { select, signal, reduce });
  expect(accepted()).toEqual([BOTH, 'application/json']);
});

test('an answer that cannot be read is an error, and from then on JSON is asked for', async () => {
  api.put(fakeNode(1));
  api.intercept = () => answer(LIST_BYTES.slice(1));
  expect(await names().catch((thrown: unknown) => thrown)).toBeInstanceOf(ProtobufError);
  api.intercept = () => undefined;
  expect((await names()).items).toEqual(['n1']);
  expect(accepted()).toEqual([BOTH, 'application/json']);
});

test('an answer that is cut off is no list', async () => {
  for (const end of [4, 20, 100, LIST_BYTES.length - 1]) {
    api.intercept = () => answer(LIST_BYTES.slice(0, end));
    const error = await names().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(TransportError);
  }
  expect(new Set(accepted())).toEqual(new Set([BOTH]));
});

test('what is no list is refused', async () => {
  api.intercept = () => answer(STATUS_BYTES);
  expect(names()).rejects.toThrow('the answer is not a list');
});

test('an error with a Status in protobuf', async () => {
  api.intercept = () => answer(STATUS_BYTES, 429);
  const error = await names().catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(ApiError);
  expect(error).toMatchObject({ status: 429, reason: 'Expired', retryAfter: 3000 });
  expect(String(error)).toContain('too old resource version');
});

test('an error with bytes that are no Status keeps its code', async () => {
  api.intercept = () => answer(STATUS_BYTES.slice(0, 30), 503);
  const error = await names().catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ status: 503, reason: '' });
});

test('a watch in protobuf; its ERROR event is thrown', async () => {
  api.intercept = () => answer(WATCH_BYTES, 200, `${PROTOBUF};stream=watch`);
  const events: WatchEvent[] = [];
  const onEvent = (event: WatchEvent) => void events.push(event);
  const done = client.watch(NODES, { select, shape, signal, resourceVersion: '5', onEvent });
  const error = await done.catch((thrown: unknown) => thrown);
  expect(events).toEqual([{ type: 'MODIFIED', object: { metadata: { name: 'n2', resourceVersion: '41' } } }]);
  expect(error).toMatchObject({ status: 410, reason: 'Expired' });
});

test('a watch that is cut off inside an event was reset', async () => {
  api.intercept = () => answer(WATCH_BYTES.slice(0, 250), 200, `${PROTOBUF};stream=watch`);
  const done = client.watch(NODES, { select, shape, signal, resourceVersion: '5', onEvent: () => {} });
  expect(done).rejects.toThrow('cut off');
});
