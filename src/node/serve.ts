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
 * `Bun.serve` for requests without a body. An address that cannot be bound ends the process with the reason, since Node
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
    const url = new URL(incoming.url ?? '/', 'http://localhost');
    const response = await fetch(new Request(url.href, { method: incoming.method ?? 'GET' }));
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
