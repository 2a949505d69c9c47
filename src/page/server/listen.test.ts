import { expect, test } from 'bun:test';
import { ConfigError } from '#base/errors.ts';
import { Ip } from '#net/ip.ts';
import { pageUrl, parsePageAddress } from './address.ts';
import { pageFiles } from './assets.ts';
import { servedAt } from './guard.ts';
import { createPageHandler } from './handler.ts';
import { listenPage } from './listen.ts';

test('addresses', () => {
  const url = (text: string) => pageUrl(parsePageAddress(text, '--ui-addr'));
  expect(url('127.0.0.1:8474')).toBe('http://127.0.0.1:8474/');
  expect(url('[::1]:0')).toBe('http://[::1]:0/');
  expect(url('8474')).toBe('http://127.0.0.1:8474/');
  expect(url('localhost:8474')).toBe('http://127.0.0.1:8474/');
  expect(url('0.0.0.0:8474')).toBe('http://0.0.0.0:8474/');
  for (const text of [
    '',
    ':8474',
    '127.0.0.1',
    '127.0.0.1:65536',
    '::1:80',
    '[127.0.0.1]:80',
    'node1:80',
    '1.2.3.4:x',
    '[::1]',
  ])
    expect(() => parsePageAddress(text, '--ui-addr')).toThrow(ConfigError);
});

test('a browser gets the page from a server that listens; a taken port is told', async () => {
  const loopback = { ip: Ip.parse('127.0.0.1'), port: 0 };
  const handler = createPageHandler({
    source: {},
    files: async () => pageFiles,
    isServed: servedAt(loopback.ip),
  });
  await using server = listenPage(loopback, handler);
  const url = pageUrl(server.address);
  const answer = await fetch(url);
  expect(answer.status).toBe(200);
  expect(await answer.text()).toContain('page.js');
  expect((await fetch(`${url}page.js`)).headers.get('content-type')).toContain('javascript');
  expect((await fetch(url, { headers: { host: 'evil.example' } })).status).toBe(421);
  expect((await fetch(`${url}api/overview`)).status).toBe(404);
  const big = { method: 'POST', body: 'x'.repeat(100_000), headers: { origin: url.slice(0, -1) } };
  expect((await fetch(`${url}api/peers/a/probe`, big)).status).toBeGreaterThanOrEqual(400);
  expect(() => listenPage(server.address, handler)).toThrow(`cannot listen on ${url}`);
});

test('readers that go away in the middle of a list make room for others', async () => {
  const loopback = { ip: Ip.parse('127.0.0.1'), port: 0 };
  const endless = function* () {
    for (;;) yield { name: 'n'.repeat(100), subnets: [], publicIps: [], state: 'tunnel' } as const;
  };
  const handler = createPageHandler({
    source: { peers: async () => ({ revision: 1, peers: endless() }) },
    files: async () => pageFiles,
    isServed: servedAt(loopback.ip),
  });
  await using server = listenPage(loopback, handler);
  const url = `${pageUrl(server.address)}api/peers`;
  for (let round = 0; round < 6; round += 1) {
    const end = new AbortController();
    const answer = await fetch(url, { signal: end.signal });
    expect([round, answer.status]).toEqual([round, 200]);
    await answer.body?.getReader().read();
    end.abort();
    await Bun.sleep(50);
  }
});
