import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { FlannelError } from '#base/errors.ts';

export interface TlsOptions {
  /** PEM. */
  readonly cert: string;
  /** PEM. */
  readonly key: string;
  /** PEM of the CA for client certificates; when given, a client without a valid one is refused. */
  readonly clientCa?: string;
}

export interface ListenerOptions {
  readonly port: number;
  readonly hostname: string;
  readonly tls: TlsOptions | undefined;
  /** Runs the synchronous opening of the socket, e.g. inside another network namespace. */
  readonly within: <T>(open: () => T) => T;
  readonly onRequest: RequestListener;
}

/** A listener that can be closed with all its connections and opened again on the same port. */
export class Listener {
  readonly #options: ListenerOptions;
  #server: Server | undefined;
  #port: number;

  constructor(options: ListenerOptions) {
    this.#options = options;
    this.#port = options.port;
  }

  /** The bound port, also while closed. */
  get port(): number {
    return this.#port;
  }

  /** Throws FlannelError when the address cannot be bound. */
  async open(): Promise<void> {
    if (this.#server !== undefined) return;
    const { hostname, within } = this.#options;
    const server = this.#create();
    this.#server = server;
    // Watches are silent for long, and clients keep connections between lists.
    server.keepAliveTimeout = 0;
    server.requestTimeout = 0;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.once('listening', resolve);
    server.once('error', reject);
    // Bun binds before listen() returns, so that `within` may switch namespaces around it.
    within(() => server.listen(this.#port, hostname));
    try {
      await promise;
    } catch (cause) {
      this.#server = undefined;
      throw new FlannelError('operator', `the API server cannot listen on ${hostname} port ${this.#port}`, {
        cause,
        cure: 'Free the port or choose another one',
      });
    }
    this.#port = (server.address() as AddressInfo).port;
  }

  #create(): Server {
    const { tls, onRequest } = this.#options;
    if (tls === undefined) return createServer(onRequest);
    const client =
      tls.clientCa === undefined ? {} : { ca: tls.clientCa, requestCert: true, rejectUnauthorized: true };
    return createTlsServer({ cert: tls.cert, key: tls.key, ...client }, onRequest);
  }

  /** Closes the listener and breaks every connection. */
  async close(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    const { promise, resolve } = Promise.withResolvers<void>();
    server.close(() => resolve());
    server.closeAllConnections();
    await promise;
  }
}

/** The whole body; undefined when it is longer than `limit` bytes. */
export async function readBody(request: IncomingMessage, limit: number): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Uint8Array>) {
    length += chunk.length;
    if (length > limit) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Header values by name; of repeated headers the first. */
export function headersOf(request: IncomingMessage): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(request.headers).map(([name, value]) => [name, Array.isArray(value) ? value[0] : value]),
  );
}

/** Sends a complete answer. A peer that has gone is none of our business. */
export function send(
  response: ServerResponse,
  code: number,
  options: { headers: Record<string, string>; body: Uint8Array },
): void {
  if (response.destroyed || response.headersSent) return;
  response.writeHead(code, { ...options.headers, 'content-length': String(options.body.length) });
  response.end(options.body);
}

/** Time between a fragment and the break behind it, ms. */
const FRAGMENT_LEAD = 15;

/** Breaks the connection in the middle of an answer, after `fragment` when given and when the peer still reads. */
export function breakOff(response: ServerResponse, fragment: Uint8Array | undefined): void {
  const { socket } = response;
  if (fragment === undefined || socket === null || socket.writableNeedDrain) {
    socket?.destroy();
    return;
  }
  // A client that reads data and end in one go may drop the data (Bun's fetch does): the fragment gets a head start.
  response.write(fragment, () => setTimeout(() => socket.destroy(), FRAGMENT_LEAD));
}
