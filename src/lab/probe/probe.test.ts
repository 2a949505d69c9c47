import { afterAll, beforeAll, expect, test } from 'bun:test';
import { probe } from './client.ts';
import { startEchoServer } from './echo-server.ts';
import { httpBody, parseAnswer, plainAddress } from './exchange.ts';

const port = 20000 + (process.pid % 20000);
let server: { stop(): Promise<void> };

beforeAll(async () => {
  server = await startEchoServer({ name: 'here', port });
});
afterAll(() => server.stop());

for (const proto of ['tcp', 'udp'] as const) {
  test(`${proto}: both sides tell the addresses they used`, async () => {
    const result = await probe({ proto, host: '127.0.0.1', port, bytes: 1000 });
    expect(result).toMatchObject({
      ok: true,
      local: '127.0.0.1',
      answer: { server: 'here', source: '127.0.0.1', bytes: 1000 },
    });
  });
}

test('nobody there is a result, not an exception', async () => {
  const result = await probe({ proto: 'tcp', host: '127.0.0.1', port: 1, timeoutMs: 300 });
  expect(result.ok).toBe(false);
});

test('answers are parsed strictly', () => {
  expect(httpBody('HTTP/1.1 200 OK\r\nA: b\r\n\r\n{}')).toBe('{}');
  expect(httpBody('HTTP/1.1 404 Not Found\r\n\r\n{}')).toBeUndefined();
  expect(httpBody('HTTP/1.1 200 OK\r\nA: b')).toBeUndefined();
  expect(parseAnswer('{"server":"a","source":"10.0.0.1","sourcePort":1,"bytes":2}')?.server).toBe('a');
  expect(parseAnswer('{"server":"a"}')).toBeUndefined();
  expect(parseAnswer('null')).toBeUndefined();
  expect(parseAnswer('nonsense')).toBeUndefined();
  expect(plainAddress('::ffff:10.0.0.1')).toBe('10.0.0.1');
});
