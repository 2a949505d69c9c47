import { expect, test } from 'bun:test';
import { cureOf, FlannelError } from '#base/errors.ts';
import { startHealth, type HealthServer, type HealthSources, type Readiness } from './health.ts';

const SOURCES: HealthSources = { readiness: () => ({ ready: true, reason: 'ready' }), metrics: () => '' };

async function withServer(
  readiness: () => Readiness,
  body: (url: string, server: HealthServer) => Promise<void>,
): Promise<void> {
  const server = startHealth('127.0.0.1', 0, { readiness, metrics: () => 'test_ready 1\n' });
  try {
    await body(`http://127.0.0.1:${server.port}`, server);
  } finally {
    await server.close();
  }
}

test('healthz is about the process, readyz about its work', async () => {
  let state: Readiness = { ready: false, reason: 'waiting for the API server' };
  await withServer(
    () => state,
    async (url) => {
      const get = async (path: string, init: RequestInit = {}) => {
        const response = await fetch(url + path, init);
        return `${response.status} ${await response.text()}`;
      };
      expect(await get('/healthz')).toBe('200 flanneld is running\n');
      expect(await get('/readyz')).toBe('503 waiting for the API server\n');
      state = { ready: true, reason: 'ready' };
      expect(await get('/readyz?verbose')).toBe('200 ready\n');
      expect(await get('/readyz', { method: 'HEAD' })).toBe('200 ');
      expect(await get('/readyz', { method: 'POST' })).toBe('405 method not allowed\n');
      expect(await get('/metrics')).toBe('200 test_ready 1\n');
      expect((await fetch(`${url}/metrics`)).headers.get('content-type')).toBe(
        'text/plain; version=0.0.4; charset=utf-8',
      );
      for (const path of ['/', '/healthz/', '/../etc/passwd']) {
        expect(await get(path)).toBe('404 not found\n');
      }
    },
  );
});

test('a port that is taken and an address that is none are errors with a cure', async () => {
  await withServer(
    () => ({ ready: true, reason: 'ready' }),
    async (_url, { port }) => {
      for (const [ip, wanted] of [
        ['127.0.0.1', port],
        ['192.0.2.77', 0],
        ['not-an-address', 0],
      ] as const) {
        let caught: unknown;
        try {
          await startHealth(ip, wanted, SOURCES).close();
        } catch (error) {
          caught = error;
        }
        expect(caught).toBeInstanceOf(FlannelError);
        expect(String(caught)).toContain(`cannot listen on ${ip}:${wanted}`);
        expect(cureOf(caught)).toContain('--healthz-port');
      }
    },
  );
  expect(() => startHealth('', 0, SOURCES)).toThrow('--healthz-ip: is empty');
});
