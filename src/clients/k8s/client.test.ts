import { afterEach, beforeEach, expect, test } from 'bun:test';
import type { Clock } from '#base/clock.ts';
import { cureOf } from '#base/errors.ts';
import { createKubeClient, type KubeClient, type WatchEvent } from './client.ts';
import type { KubeConfig } from './config.ts';
import { ApiError, isGone, isMissing, TransportError } from './errors.ts';
import { FakeApi, fakeNode, fastClock, status, until } from './fake-api.ts';
import { Secret } from '../secret.ts';
import { ALL, JsonError, members } from './selection.ts';
import { type CountedRequest, retryAfter } from './transport.ts';

const select = members({ metadata: members({ name: ALL, resourceVersion: ALL }) });
const NODES = '/api/v1/nodes';
const never = new AbortController().signal;
let api: FakeApi;
let client: KubeClient;

function connect(
  config: Partial<KubeConfig> = {},
  options: { readFile?: () => Promise<string>; timeout?: number; clock?: Clock } = {},
) {
  return createKubeClient(
    { server: api.url, source: 'test', insecure: false, ...config },
    { clock: fastClock, random: Math.random, watchTimeout: 5000, timeout: 5000, ...options },
  );
}

beforeEach(() => {
  api = new FakeApi();
  client = connect();
});

afterEach(async () => {
  client.close();
  await api.stop();
});

const names = (limit: number, resourceVersion?: string) =>
  client.list(NODES, {
    select,
    signal: never,
    limit,
    ...(resourceVersion !== undefined && { resourceVersion }),
    reduce: (item) => (item as { metadata: { name: string } }).metadata.name,
  });

test('lists in pages; a resourceVersion goes only with the first', async () => {
  for (let i = 1; i <= 7; i += 1) api.put(fakeNode(i));
  const list = await names(3, '0');
  expect(list.items).toEqual(['n1', 'n2', 'n3', 'n4', 'n5', 'n6', 'n7']);
  expect(list.resourceVersion).toBe('107');
  const queries = api.requests.map(({ url }) => url.search);
  expect(queries).toEqual(['?limit=3&resourceVersion=0', '?limit=3&continue=3', '?limit=3&continue=6']);
});

test('410 during paging: once more in one piece, nothing twice', async () => {
  for (let i = 1; i <= 4; i += 1) api.put(fakeNode(i));
  api.intercept = ({ url }) =>
    url.searchParams.has('continue') ? status(410, 'Expired', 'continue token too old') : undefined;
  expect((await names(3, '0')).items).toEqual(['n1', 'n2', 'n3', 'n4']);
  expect(api.requests.at(-1)?.url.search).toBe('');
});

test('a server that ignores limit, and one that compresses', async () => {
  const items = [fakeNode(1), fakeNode(2)];
  const text = JSON.stringify({ kind: 'NodeList', items, metadata: { resourceVersion: '5' } });
  api.intercept = () => new Response(Bun.gzipSync(text), { headers: { 'content-encoding': 'gzip' } });
  expect(await names(1)).toEqual({ items: ['n1', 'n2'], resourceVersion: '5' });
});

test('an empty list whose items are null', async () => {
  api.intercept = () => Response.json({ kind: 'NodeList', metadata: { resourceVersion: '5' }, items: null });
  expect(await names(1)).toEqual({ items: [], resourceVersion: '5' });
});

test('an endless list is noticed', () => {
  api.intercept = () => Response.json({ metadata: { resourceVersion: '5', continue: 'x' }, items: [] });
  expect(names(1)).rejects.toThrow('no end');
});

test('a page that is no list', () => {
  api.intercept = () => Response.json({ hello: 1 });
  expect(names(1)).rejects.toThrow('not a list');
});

test('a page of HTML is garbage, not a crash', () => {
  api.intercept = () => new Response('<html>login</html>');
  expect(names(1)).rejects.toBeInstanceOf(JsonError);
});

test('a list cut in the middle is a cut connection', async () => {
  api.intercept = () => new Response('{"items":[{"metadata":{"name":"a"}');
  const error = await names(1).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(TransportError);
  expect(String(error)).toContain('cut off in the middle');
});

test('get keeps what is selected; 404 is told', async () => {
  api.put(fakeNode(1));
  expect(await client.get(`${NODES}/n1`, { select, signal: never })).toEqual({
    metadata: { name: 'n1', resourceVersion: '101' },
  });
  const error = await client.get(`${NODES}/n2`, { select, signal: never }).catch((e: unknown) => e);
  expect(isMissing(error)).toBe(true);
});

test('patch sends the media type of its kind', async () => {
  api.put(fakeNode(1));
  const body = { metadata: { annotations: { a: 'b' } } };
  await client.patch(`${NODES}/n1/status`, { type: 'strategic', body, select, signal: never });
  expect(api.patches[0]?.headers.get('content-type')).toBe('application/strategic-merge-patch+json');
  expect(api.nodes.get('n1')?.metadata.annotations?.a).toBe('b');
});

test.each([
  [401, 'Unauthorized', /has not expired/],
  [403, 'Forbidden', /grant/],
])('%i is told in words with a cure', async (code, reason, cure) => {
  api.intercept = () => status(code, reason, 'nodes is forbidden: User "x" cannot list');
  const error = await names(1).catch((e: unknown) => e);
  expect(String(error)).toContain(`GET /api/v1/nodes: ${code} ${reason}: nodes is forbidden`);
  expect(cureOf(error)).toMatch(cure);
});

test('Retry-After in seconds, as a date, and in the Status', async () => {
  api.intercept = () => status(429, 'TooManyRequests', 'slow', { 'retry-after': '7' });
  const error = await names(1).catch((e: unknown) => e);
  expect(error instanceof ApiError && error.retryAfter).toBe(7000);
  expect(retryAfter('Thu, 01 Jan 1970 00:00:10 GMT', 4000)).toBe(6000);
  expect(retryAfter('soon')).toBeUndefined();
  api.intercept = () => Response.json({ details: { retryAfterSeconds: 2 } }, { status: 503 });
  const second = await names(1).catch((e: unknown) => e);
  expect(second instanceof ApiError && second.retryAfter).toBe(2000);
});

test('refused, silent and redirecting servers are told apart', async () => {
  const closed = connect({ server: 'http://127.0.0.1:1' });
  const refused = await closed.get(NODES, { select, signal: never }).catch((e: unknown) => e);
  expect(refused instanceof TransportError && refused.failure).toBe('refused');
  const silent = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } });
  const mute = connect({ server: `http://127.0.0.1:${silent.port}` }, { timeout: 100 });
  const timeout = await mute.get(NODES, { select, signal: never }).catch((e: unknown) => e);
  expect(timeout instanceof TransportError && timeout.failure).toBe('timeout');
  silent.stop(true);
  api.intercept = ({ url }) =>
    url.pathname === NODES ? Response.redirect(`${api.url}/elsewhere`) : undefined;
  expect(names(1)).rejects.toThrow('302');
});

test('an aborted request rejects with the reason of the signal', () => {
  const controller = new AbortController();
  api.intercept = () => new Response(new ReadableStream());
  setTimeout(() => controller.abort(new Error('stop')), 20);
  expect(client.get(NODES, { select, signal: controller.signal })).rejects.toThrow('stop');
});

/** Time that stands still until a test moves it. */
class Stopped implements Clock {
  time = 0;
  now = () => this.time;
  monotonic = () => this.time;
  sleep = () => Promise.reject(new Error('not used'));
}

test('a rotated token is read again after a 401', async () => {
  let token = 'old';
  const rotating = connect(
    { token: Secret.file('/run/token') },
    { readFile: () => Promise.resolve(`${token}\n`), clock: new Stopped() },
  );
  api.put(fakeNode(1));
  await rotating.get(`${NODES}/n1`, { select, signal: never });
  token = 'new';
  api.intercept = ({ headers }) =>
    headers.get('authorization') === 'Bearer new' ? undefined : status(401, 'Unauthorized', '');
  await rotating.get(`${NODES}/n1`, { select, signal: never });
  expect(api.requests.map(({ headers }) => headers.get('authorization'))).toEqual([
    'Bearer old',
    'Bearer old',
    'Bearer new',
  ]);
});

test('a token file is read again when it is old', async () => {
  let reads = 0;
  const readFile = () => Promise.resolve(`t${(reads += 1)}`);
  const clock = new Stopped();
  const rotating = connect({ token: Secret.file('/run/token') }, { readFile, clock });
  api.put(fakeNode(1));
  const get = () => rotating.get(`${NODES}/n1`, { select, signal: never });
  await get();
  await get();
  expect(reads).toBe(1);
  clock.time += 1000;
  await get();
  expect(api.requests.at(-1)?.headers.get('authorization')).toBe('Bearer t2');
});

test('a token file that is gone for a moment: the token read before is good until it is refused', async () => {
  let text: string | undefined = 'good';
  const readFile = async () => {
    if (text === undefined) throw new Error('no such file');
    return text;
  };
  const clock = new Stopped();
  const rotating = connect({ token: Secret.file('/run/token') }, { readFile, clock });
  api.put(fakeNode(1));
  const get = () => rotating.get(`${NODES}/n1`, { select, signal: never });
  await get();
  text = undefined;
  clock.time += 1000;
  await get();
  expect(api.requests.at(-1)?.headers.get('authorization')).toBe('Bearer good');
  api.intercept = () => status(401, 'Unauthorized', '');
  expect(get()).rejects.toThrow('/run/token: cannot be read: no such file');
});

test('a token with a line break is refused without showing it', async () => {
  const bad = connect({ token: Secret.inline('se\ncret') });
  const error = await bad.get(NODES, { select, signal: never }).catch((e: unknown) => e);
  expect(String(error)).toContain('not a bearer token');
  expect(String(error)).not.toContain('cret\b');
  expect(api.requests).toEqual([]);
});

function watch(resourceVersion: string, signal: AbortSignal = never) {
  const events: WatchEvent[] = [];
  const done = client
    .watch(NODES, { select, resourceVersion, signal, onEvent: (event) => void events.push(event) })
    .catch((error: unknown) => error);
  return { events, done };
}

test('a watch tells events and bookmarks, then ends in good order', async () => {
  api.put(fakeNode(1));
  const { events, done } = watch('100');
  await until(() => api.watchers === 1, 'watch');
  api.bookmark();
  api.delete('n1');
  await until(() => events.length === 3, 'three events');
  api.cut();
  expect(await done).toBeUndefined();
  expect(events.map(({ type }) => type)).toEqual(['ADDED', 'BOOKMARK', 'DELETED']);
  expect(events[2]?.object).toEqual({ metadata: { name: 'n1', resourceVersion: '103' } });
  const query = api.watchRequests[0]?.url.searchParams;
  expect(query?.get('allowWatchBookmarks')).toBe('true');
  expect(Number(query?.get('timeoutSeconds'))).toBeGreaterThanOrEqual(300);
});

test('a brief watch asks for an end before it is taken for dead', async () => {
  const stop = new AbortController();
  const { signal } = stop;
  const patient = createKubeClient(
    { server: api.url, source: 'test', insecure: false },
    { clock: fastClock, random: Math.random, watchTimeout: 30_000 },
  );
  const done = patient
    .watch(NODES, { select, resourceVersion: '1', signal, brief: true, onEvent: () => {} })
    .catch(() => {});
  await until(() => api.watchers === 1, 'watch');
  stop.abort(new Error('enough'));
  await done;
  expect(api.watchRequests[0]?.url.searchParams.get('timeoutSeconds')).toBe('20');
});

test('requests are counted by what they are for and how they went', async () => {
  const counted: string[] = [];
  using mute = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch: () => new Promise<Response>(() => {}),
  });
  const to = (server: string) => {
    const onRequest = ({ verb, code }: CountedRequest) => void counted.push(`${verb} ${code}`);
    const config = { server, source: 'test', insecure: false };
    return createKubeClient(config, { clock: fastClock, random: Math.random, timeout: 300, onRequest });
  };
  const get = (from: KubeClient, signal = never) =>
    from.get(`${NODES}/n1`, { select, signal }).catch(() => {});
  const counting = to(api.url);
  api.put(fakeNode(1));
  await get(counting);
  await counting.list(NODES, { select, signal: never, reduce: (item) => item });
  await counting.patch(`${NODES}/n1/status`, { type: 'strategic', body: {}, select, signal: never });
  api.intercept = () => status(503, 'ServiceUnavailable', '');
  await get(counting);
  const silent = to(`http://127.0.0.1:${mute.port}`);
  await get(silent);
  // The caller's own wish is nobody's failure.
  const stop = new AbortController();
  setTimeout(() => stop.abort(new Error('enough')), 50);
  await get(silent, stop.signal);
  await api.stop();
  await get(counting);
  expect(counted).toEqual(['get 200', 'list 200', 'patch 200', 'get 503', 'get timeout', 'get refused']);
});

test('an ERROR event is its Status', async () => {
  const { done } = watch('100');
  await until(() => api.watchers === 1, 'watch');
  const object = { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' };
  api.send(JSON.stringify({ type: 'ERROR', object }));
  expect(isGone(await done)).toBe(true);
});

test('a watch cut in the middle of an event', async () => {
  const { events, done } = watch('100');
  await until(() => api.watchers === 1, 'watch');
  api.send('{"type":"ADDED","object":{"metadata":{"na');
  api.cut();
  const error = await done;
  expect(error instanceof TransportError && error.failure).toBe('reset');
  expect(events).toEqual([]);
});

test.each(['nonsense\n', '{"type":"ADDED","object":{]}\n', '{"type":"WHATEVER","object":{}}\n', '7\n'])(
  'garbage in a watch: %j',
  async (text) => {
    const { done } = watch('100');
    await until(() => api.watchers === 1, 'watch');
    api.send(text);
    expect(await done).toBeInstanceOf(JsonError);
  },
);

test('a silent watch is given up', async () => {
  const impatient = createKubeClient(
    { server: api.url, source: 'test', insecure: false },
    { clock: fastClock, random: Math.random, watchTimeout: 200 },
  );
  const options = { select, resourceVersion: '1', signal: never, onEvent: () => {} };
  const error = await impatient.watch(NODES, options).catch((e: unknown) => e);
  expect(error instanceof TransportError && error.failure).toBe('timeout');
});

test('what the caller throws in an event comes out as it is', async () => {
  const done = client.watch(NODES, {
    select,
    resourceVersion: '100',
    signal: never,
    onEvent: () => {
      throw new RangeError('mine');
    },
  });
  api.put(fakeNode(1));
  expect(done).rejects.toThrow('mine');
  await done.catch(() => {});
});
