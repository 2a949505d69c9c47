import { afterEach, expect, test } from 'bun:test';
import { createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { cureOf, describe } from '#base/errors.ts';
import { createKubeClient } from './client.ts';
import { ApiError, TransportError } from './errors.ts';
import { fastClock } from './fake-api.ts';
import { members, ALL } from './selection.ts';

// What may answer in the API server's place: proxies, captive portals, other programs, machines that are half dead.

const select = members({ metadata: members({ name: ALL }) });
const signal = new AbortController().signal;
let server: Server | undefined;
let connections = 0;

afterEach(() => {
  server?.close();
  connections = 0;
});

/** A client of a server that answers every request with these bytes, or as `answer` does. */
async function clientOf(answer: string | ((socket: Socket) => void), timeout = 2000, watchTimeout = timeout) {
  server = createServer((socket) => {
    connections += 1;
    socket.on('error', () => {});
    socket.once('data', () => (typeof answer === 'string' ? socket.end(answer) : answer(socket)));
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', resolve);
  await promise;
  const { port } = server.address() as AddressInfo;
  return createKubeClient(
    { server: `http://127.0.0.1:${port}`, source: 'test', insecure: false },
    { clock: fastClock, random: Math.random, timeout, watchTimeout, collectGarbage: () => {} },
  );
}

type Client = Awaited<ReturnType<typeof clientOf>>;
const VERBS = {
  get: (client: Client) => client.get('/nodes/n1', { select, signal }),
  list: (client: Client) => client.list('/nodes', { select, signal, reduce: (item) => item }),
  watch: (client: Client) =>
    client.watch('/nodes', { select, signal, resourceVersion: '1', onEvent: () => {} }),
};

async function failure(work: Promise<unknown>): Promise<unknown> {
  try {
    return `no failure: ${JSON.stringify(await work)}`;
  } catch (error) {
    return error;
  }
}

function http(body: string, headers = 'content-type: application/json', code = '200 OK'): string {
  const length = `content-length: ${Buffer.byteLength(body)}`;
  return `HTTP/1.1 ${code}\r\n${headers}\r\n${length}\r\nconnection: close\r\n\r\n${body}`;
}

const LIST = '{"kind":"NodeList","metadata":{"resourceVersion":"7"},"items":[]}';

for (const [verb, ask] of Object.entries(VERBS)) {
  test(`${verb}: a login page with 200 is no answer, and the message says what came`, async () => {
    const error = await failure(ask(await clientOf(http('<html>Log in</html>', 'content-type: text/html'))));
    expect(describe(error)).toMatch(/(GET http:.*|watch of).*nodes.*\(text\/html\): a value is missing/);
    expect(cureOf(error)).toContain('that the address is that of the API server');
  });

  test(`${verb}: a redirect is not followed, and the token stays here`, async () => {
    const location = 'location: http://127.0.0.1:1/\r\ncontent-type: text/html';
    const error = await failure(ask(await clientOf(http('moved', location, '302 Found'))));
    expect(error instanceof ApiError && error.status).toBe(302);
    expect(describe(error)).toContain('302 redirect, not followed');
    expect(cureOf(error)).toContain('it does not redirect');
    expect(connections).toBe(1);
  });

  test.each(['gzip', 'br', 'zstd'])(`${verb}: not %s, whatever it says`, async (coding) => {
    const error = await failure(ask(await clientOf(http(LIST, `content-encoding: ${coding}`))));
    expect(describe(error)).toContain('the answer is not compressed as it says');
  });

  test(`${verb}: no HTTP`, async () => {
    const error = await failure(ask(await clientOf('SSH-2.0-OpenSSH_9.2\r\n')));
    expect(describe(error)).toContain('does not speak HTTP');
  });

  test.each([
    ['silent', () => {}],
    [
      'headers, then silence',
      (socket: Socket) => void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{'),
    ],
  ] as const)(`${verb}: %s`, async (_, answer) => {
    const client = await clientOf(answer, 150);
    const started = performance.now();
    const error = await failure(ask(client));
    expect(error instanceof TransportError && error.failure).toBe('timeout');
    expect(performance.now() - started).toBeLessThan(20_000);
  });

  test(`${verb}: cut off in the middle`, async () => {
    const error = await failure(ask(await clientOf('HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"kind":')));
    expect(error instanceof TransportError && error.failure).toBe('reset');
  });

  test(`${verb}: one byte now and then ${verb === 'watch' ? 'is a quiet watch' : 'is no answer'}`, async () => {
    const client = await clientOf(
      (socket) => {
        socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n');
        const timer = setInterval(() => socket.write('1\r\n \r\n'), 20);
        socket.on('close', () => clearInterval(timer));
      },
      100,
      700,
    );
    const outcome = failure(ask(client));
    if (verb === 'watch') {
      const quiet = Bun.sleep(1500).then(() => 'still there');
      expect(await Promise.race([outcome, quiet])).toBe('still there');
    } else {
      const error = await outcome;
      expect(error instanceof TransportError && error.failure).toBe('timeout');
    }
    client.close();
  });
}

test('an object beyond all bounds is not kept', async () => {
  const name = 'x'.repeat(3 << 20);
  const error = await failure(VERBS.get(await clientOf(http(`{"metadata":{"name":"${name}"}}`))));
  expect(describe(error)).toContain('more than 1048576 bytes to keep of one object');
});

test('what is large and of no interest is passed over', async () => {
  const body = `{"metadata":{"name":"n1","managedFields":["${'x'.repeat(8 << 20)}"]},"status":${'['.repeat(60)}${']'.repeat(60)}}`;
  expect(await VERBS.get(await clientOf(http(body)))).toEqual({ metadata: { name: 'n1' } });
});
