import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { builtin } from './builtin.ts';

interface ServeOptions {
  readonly fetch: (request: Request) => Response | Promise<Response>;
  readonly hostname?: string;
  readonly port?: number;
  /** Path of a socket; bound when the function returns, unlike an address. */
  readonly unix?: string;
}

/**
 * `Bun.serve`. An address that cannot be bound ends the process with the reason, since Node
 * learns of it after the call.
 */
export function serve({ fetch, hostname, port = 0, unix }: ServeOptions) {
  const server: Server = builtin.http.createServer((incoming, outgoing) => {
    void answer(incoming, outgoing, fetch);
  });
  server.on('error', (error) => {
    console.error(`cannot listen on ${unix ?? `${hostname}:${port}`}: ${error.message}`);
    process.exit(1);
  });
  if (unix !== undefined) server.listen(unix);
  else server.listen(port, hostname);
  return {
    get port() {
      return (server.address() as AddressInfo | null)?.port ?? port;
    },
    stop: async (now = false) => {
      const closed = new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
      if (now) server.closeAllConnections();
      await closed;
    },
  };
}

async function answer(incoming: IncomingMessage, outgoing: ServerResponse, fetch: ServeOptions['fetch']) {
  try {
    const response = await fetch(asRequest(incoming));
    outgoing.writeHead(response.status, Object.fromEntries(response.headers));
    if (incoming.method === 'HEAD') outgoing.end();
    else {
      for await (const chunk of response.body ?? []) outgoing.write(chunk);
      outgoing.end();
    }
  } catch (error) {
    console.error(error);
    outgoing.destroy();
  }
}

function asRequest(incoming: IncomingMessage): Request {
  const { method = 'GET', url = '/', headers } = incoming;
  const body = method === 'GET' || method === 'HEAD' ? null : builtin.stream.Readable.toWeb(incoming);
  const { href } = new URL(url, `http://${headers.host ?? 'localhost'}`);
  const given = Object.entries(headers).map(([name, value]) => [name, String(value)]);
  return new Request(href, {
    method,
    headers: Object.fromEntries(given) as Record<string, string>,
    ...(body !== null && { body: body as ReadableStream<Uint8Array>, duplex: 'half' }),
  });
}
