import { expect, test } from 'bun:test';
import { FlannelError } from '#base/errors.ts';
import { Ip } from '#net/ip.ts';
import type { Overview, PeerDetail, PeerView } from '../model.ts';
import { servedAt } from './guard.ts';
import { createPageHandler, type PageHandlerOptions } from './handler.ts';

const OVERVIEW: Overview = {
  schema: 1,
  version: '1',
  now: 5,
  health: { state: 'ready', reasons: [], startedAt: 1, store: { fromMemory: false } },
  pods: [],
  unread: [],
  repairs: [],
};
const peerView = (name: string): PeerView => ({ name, subnets: [], publicIps: [], state: 'tunnel' });
const detail = (name: string): PeerDetail => ({ ...peerView(name), entries: [] });
const FILES = { html: '<p>', script: 'let a;', style: 'p{}', revision: 'abc' };

function make(options: Partial<PageHandlerOptions> = {}) {
  const handle = createPageHandler({
    source: { overview: async () => OVERVIEW },
    files: async () => FILES,
    isServed: servedAt(Ip.parse('127.0.0.1')),
    ...options,
  });
  return (path: string, init: RequestInit & { host?: string } = {}) => {
    const { host = 'localhost:8474', headers, ...rest } = init;
    const all = new Headers(headers);
    all.set('host', host);
    return handle(new Request(`http://localhost:8474${path}`, { ...rest, headers: all }));
  };
}

const post = (headers: Record<string, string> = {}, body?: string): RequestInit => ({
  method: 'POST',
  headers: { origin: 'http://localhost:8474', ...headers },
  ...(body === undefined ? {} : { body }),
});

test('every answer has the strict headers, errors included, and none has a word of CORS', async () => {
  const ask = make();
  for (const [path, status] of [
    ['/', 200],
    ['/page.js', 200],
    ['/api/overview', 200],
    ['/nothing', 404],
  ] as const) {
    const answer = await ask(path, { headers: { origin: 'http://evil.example' } });
    expect(answer.status).toBe(status);
    const { headers } = answer;
    expect(headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
    expect(headers.get('content-security-policy')).not.toContain('unsafe');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('x-frame-options')).toBe('DENY');
    expect(headers.get('referrer-policy')).toBe('no-referrer');
    expect(headers.get('cross-origin-opener-policy')).toBe('same-origin');
    expect(headers.get('cross-origin-resource-policy')).toBe('same-origin');
    expect(headers.get('permissions-policy')).toContain('camera=()');
    expect([...headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([]);
  }
  expect((await ask('/api/overview')).headers.get('cache-control')).toBe('no-store');
});

test('the files are loaded when the page is opened, and asked for again only when they changed', async () => {
  let loaded = 0;
  const ask = make({
    files: async () => {
      loaded += 1;
      return FILES;
    },
  });
  await ask('/api/overview');
  expect(loaded).toBe(0);
  const page = await ask('/');
  expect([await page.text(), page.headers.get('content-type')]).toEqual(['<p>', 'text/html; charset=utf-8']);
  expect(await (await ask('/page.css')).text()).toBe('p{}');
  const etag = page.headers.get('etag') ?? '';
  expect((await ask('/page.js', { headers: { 'if-none-match': etag } })).status).toBe(304);
  expect((await ask('/page.js', { headers: { 'if-none-match': '"other"' } })).status).toBe(200);
});

test('only names that we serve are answered: a name of elsewhere may be made to point here', async () => {
  const ask = make();
  const status = async (host: string) => (await ask('/api/overview', { host })).status;
  for (const host of ['localhost', 'LOCALHOST:1', '127.0.0.1:9', '127.1.2.3', '[::1]:8474', '[::1]'])
    expect([host, await status(host)]).toEqual([host, 200]);
  for (const host of [
    'evil.example',
    'evil.example:8474',
    '',
    '10.0.0.1:8474',
    '127.0.0.1.evil.example',
    'a b',
  ])
    expect([host, await status(host)]).toEqual([host, 421]);
  const wide = make({ isServed: servedAt(Ip.parse('0.0.0.0')) });
  expect((await wide('/api/overview', { host: '10.0.0.1:8474' })).status).toBe(200);
  expect((await wide('/api/overview', { host: 'node1:8474' })).status).toBe(421);
  const one = make({ isServed: servedAt(Ip.parse('10.0.0.1')) });
  expect((await one('/api/overview', { host: '10.0.0.1:8474' })).status).toBe(200);
  expect((await one('/api/overview', { host: '10.0.0.2:8474' })).status).toBe(421);
});

test('another site can neither send anything nor have documents loaded', async () => {
  let sent = 0;
  const ask = make({
    source: {
      probe: async () => {
        sent += 1;
        return { at: 1, results: [] };
      },
    },
    now: () => 0,
  });
  const probe = async (init: RequestInit) => (await ask('/api/peers/a/probe', init)).status;
  expect(await probe({ method: 'POST' })).toBe(403);
  for (const origin of ['null', 'http://evil.example', 'http://localhost:1', 'not a url'])
    expect([origin, await probe(post({ origin }))]).toEqual([origin, 403]);
  expect(await probe(post({ 'sec-fetch-site': 'cross-site' }))).toBe(403);
  expect(sent).toBe(0);
  expect(await probe(post({ 'sec-fetch-site': 'same-origin' }))).toBe(200);
  expect(sent).toBe(1);
  const cross = { headers: { 'sec-fetch-site': 'same-site' } };
  expect((await ask('/api/overview', cross)).status).toBe(403);
  // A link to the page from elsewhere is no harm.
  expect((await ask('/', cross)).status).toBe(200);
});

test('methods: what is read takes GET and HEAD, what acts takes POST, nothing else does anything', async () => {
  const ask = make({
    source: {
      overview: async () => OVERVIEW,
      peer: async (name) => detail(name),
      probe: async () => ({ at: 1, results: [] }),
    },
    routes: [{ method: 'POST', path: '/api/walks', answer: async (body) => ({ body }) }],
  });
  for (const [path, method, allow] of [
    ['/', 'POST', 'GET, HEAD'],
    ['/api/overview', 'POST', 'GET, HEAD'],
    ['/api/overview', 'DELETE', 'GET, HEAD'],
    ['/api/peers/a', 'PUT', 'GET, HEAD'],
    ['/api/peers/a/probe', 'GET', 'POST'],
    ['/api/walks', 'GET', 'POST'],
    ['/api/overview', 'OPTIONS', 'GET, HEAD'],
  ] as const) {
    const answer = await ask(path, { method, headers: { origin: 'http://localhost:8474' } });
    expect([path, method, answer.status, answer.headers.get('allow')]).toEqual([path, method, 405, allow]);
  }
  const head = await ask('/api/overview', { method: 'HEAD' });
  expect([head.status, await head.text(), head.headers.get('content-type')]).toEqual([
    200,
    '',
    'application/json; charset=utf-8',
  ]);
});

test('bodies are bounded and strict', async () => {
  const ask = make({
    routes: [{ method: 'POST', path: '/api/walks', answer: async (body) => ({ body }) }],
  });
  const json = { 'content-type': 'application/json' };
  const walk = (init: RequestInit) => ask('/api/walks', init);
  expect(await (await walk(post(json, '{"from":"a"}'))).json()).toEqual({ body: { from: 'a' } });
  expect((await walk(post(json, '{'))).status).toBe(400);
  expect((await walk(post({ 'content-type': 'text/plain' }, '{}'))).status).toBe(415);
  expect((await walk(post(json, `"${'x'.repeat(20_000)}"`))).status).toBe(413);
});

test('names are taken as they are, whatever is in them', async () => {
  const asked: string[] = [];
  let now = 0;
  const ask = make({
    source: {
      peer: async (name) => {
        asked.push(name);
        return name === 'ü/<script>' ? detail(name) : undefined;
      },
    },
    now: () => (now += 1000),
  });
  const status = async (name: string) => (await ask(`/api/peers/${name}`)).status;
  expect(await status(encodeURIComponent('ü/<script>'))).toBe(200);
  for (const name of ['a%00b', 'x'.repeat(300), '%E2%80%AE', 'constructor', '__proto__', '%2e%2e%2f'])
    expect([name, await status(name)]).toEqual([name, 404]);
  expect(asked).toEqual(['ü/<script>', 'a\0b', 'x'.repeat(300), '\u202e', 'constructor', '__proto__', '../']);
  expect(await status('%ff')).toBe(400);
  expect(await status('%')).toBe(400);
  expect(await status('..')).toBe(404);
  expect(await status('a/b/c')).toBe(404);
  expect(await status('x'.repeat(5000))).toBe(414);
  expect(asked).toHaveLength(7);
});

test('errors: what the operator can mend is told, what is our fault is not', async () => {
  const faults: unknown[] = [];
  let error: Error = new FlannelError('kernel', 'read links: EPERM', { cure: 'Give it CAP_NET_ADMIN' });
  let now = 0;
  const ask = make({
    source: { overview: () => Promise.reject(error), rules: async () => undefined },
    onFault: (fault) => faults.push(fault),
    now: () => (now += 1000),
  });
  const mendable = await ask('/api/overview');
  expect([mendable.status, await mendable.json()]).toEqual([
    502,
    { error: 'read links: EPERM', cure: 'Give it CAP_NET_ADMIN' },
  ]);
  error = new Error('secret /root/path');
  const ours = await ask('/api/overview');
  expect([ours.status, await ours.json()]).toEqual([
    500,
    { error: 'the server has failed; its log says why' },
  ]);
  expect(faults).toEqual([error]);
  expect((await ask('/api/rules')).status).toBe(503);
  expect((await ask('/api/peers')).status).toBe(404);
});

test('fifty pages cost as one, and no name is asked for without end', async () => {
  let made = 0;
  let asked = 0;
  let now = 0;
  const ask = make({
    source: {
      overview: async () => {
        made += 1;
        return OVERVIEW;
      },
      peer: async (name) => {
        asked += 1;
        return detail(name);
      },
    },
    now: () => now,
  });
  await Promise.all(Array.from({ length: 50 }, () => ask('/api/overview')));
  now = 499;
  await ask('/api/overview');
  expect(made).toBe(1);
  now = 501;
  await ask('/api/overview');
  expect(made).toBe(2);
  const answers = await Promise.all(Array.from({ length: 100 }, (_, at) => ask(`/api/peers/n${at}`)));
  const statuses = answers.map(({ status }) => status);
  expect(asked).toBe(20);
  expect(statuses.filter((status) => status === 429)).toHaveLength(80);
  now = 1501;
  expect((await ask('/api/peers/n50')).status).toBe(200);
});

test('peers are sent whole, or not at all to whom knows them', async () => {
  let looked = 0;
  const peers = function* () {
    for (let at = 0; at < 5000; at += 1) {
      looked += 1;
      yield peerView(`node-${at}`);
    }
  };
  const ask = make({ source: { peers: async () => ({ revision: 7, peers: peers() }) } });
  const answer = await ask('/api/peers');
  const list: unknown = await answer.json();
  expect(list).toEqual({
    schema: 1,
    revision: 7,
    peers: Array.from({ length: 5000 }, (_, at) => peerView(`node-${at}`)),
  });
  looked = 0;
  const same = await ask('/api/peers', { headers: { 'if-none-match': '"6", W/"7"' } });
  expect([same.status, same.headers.get('etag'), await same.text(), looked]).toEqual([304, '"7"', '', 0]);
  expect((await ask('/api/peers', { method: 'HEAD' })).status).toBe(200);
  expect(looked).toBe(0);
});

test('a few lists at once; who goes away makes room', async () => {
  const endless = function* () {
    for (;;) yield peerView('n');
  };
  const ask = make({ source: { peers: async () => ({ revision: 1, peers: endless() }) } });
  const open = [];
  for (let at = 0; at < 4; at += 1) open.push(await ask('/api/peers'));
  expect((await ask('/api/peers')).status).toBe(503);
  await open[0]?.body?.cancel();
  expect((await ask('/api/peers')).status).toBe(200);
});
