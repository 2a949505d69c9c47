import { connect } from 'node:net';
import { describe } from '#base/errors.ts';
import { httpBody, parseAnswer, plainAddress, type ProbeRequest, type ProbeResult } from './exchange.ts';

/** Far more than an answer takes, for a machine that is busy. */
const DEFAULT_TIMEOUT_MS = 3000;

/** Asks one echo server, in the network namespace of this process. Never rejects: a failure is a result. */
export async function probe(request: ProbeRequest): Promise<ProbeResult> {
  const start = performance.now();
  try {
    const { text, local } = await (request.proto === 'tcp' ? askTcp(request) : askUdp(request));
    const answer = parseAnswer(text);
    if (answer === undefined) return { ok: false, error: 'the answer is not that of an echo server' };
    return { ok: true, answer, local, ms: performance.now() - start };
  } catch (error) {
    return { ok: false, error: describe(error) };
  }
}

interface Spoken {
  readonly text: string;
  readonly local: string;
}

/** An HTTP/1.0 POST by hand: `fetch` does not tell the local address. */
function askTcp(request: ProbeRequest): Promise<Spoken> {
  const { host, port, bytes = 64, timeoutMs = DEFAULT_TIMEOUT_MS } = request;
  const { promise, resolve, reject } = Promise.withResolvers<Spoken>();
  let local = '';
  let received = '';
  const socket = connect({ host, port }, () => {
    local = plainAddress(socket.localAddress ?? '');
    socket.write(`POST / HTTP/1.0\r\nHost: ${host}\r\nContent-Length: ${bytes}\r\n\r\n`);
    socket.write(Buffer.alloc(bytes, 0x2e));
  });
  const timer = setTimeout(() => {
    socket.destroy();
    reject(new Error(`no answer within ${timeoutMs} ms`));
  }, timeoutMs);
  socket.setEncoding('utf8');
  socket.on('data', (chunk: string) => {
    received += chunk;
    const body = httpBody(received);
    if (body === undefined || !body.endsWith('}')) return;
    clearTimeout(timer);
    resolve({ text: body, local });
    socket.destroy();
  });
  socket.on('error', (error) => {
    clearTimeout(timer);
    reject(error);
  });
  socket.on('close', () => {
    clearTimeout(timer);
    reject(new Error('the connection ended without an answer'));
  });
  return promise;
}

/** One datagram there and back; sent again after half the time, since a first one may wait for an ARP in vain. */
async function askUdp(request: ProbeRequest): Promise<Spoken> {
  const { host, port, bytes = 64, text, timeoutMs = DEFAULT_TIMEOUT_MS } = request;
  const payload = text === undefined ? Buffer.alloc(bytes, 0x2e) : Buffer.from(text);
  const { promise, resolve, reject } = Promise.withResolvers<Spoken>();
  const socket = await Bun.udpSocket({
    connect: { hostname: host, port },
    socket: {
      data(open, data) {
        resolve({ text: data.toString('utf8').split('\n', 1)[0] ?? '', local: open.address.address });
      },
      error: (_open, error) => reject(error),
    },
  });
  const send = () => {
    try {
      socket.send(payload);
    } catch (error) {
      reject(error);
    }
  };
  const again = setTimeout(send, timeoutMs / 2);
  const timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  send();
  try {
    return await promise;
  } finally {
    clearTimeout(again);
    clearTimeout(timer);
    socket.close();
  }
}
