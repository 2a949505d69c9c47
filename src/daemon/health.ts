import { ConfigError, FlannelError } from '#base/errors.ts';

/** Whether the agent does its work, and if not, why. */
export interface Readiness {
  readonly ready: boolean;
  /** Not ready, but pods can be connected to what is known of the network: only the store is away. */
  readonly serving?: true;
  readonly reason: string;
}

export interface HealthServer {
  readonly port: number;
  close(): Promise<void>;
}

/** `GET /healthz`: 200 while the process runs. `GET /readyz`: 200 when ready, else 503 with the reason. */
export function startHealth(ip: string, port: number, readiness: () => Readiness): HealthServer {
  if (ip === '') throw new ConfigError('--healthz-ip', 'is empty');
  try {
    const server = Bun.serve({
      hostname: ip,
      port,
      fetch(request) {
        const { pathname } = new URL(request.url);
        if (request.method !== 'GET' && request.method !== 'HEAD')
          return new Response('method not allowed\n', { status: 405 });
        if (pathname === '/healthz') return new Response('flanneld is running\n');
        if (pathname === '/readyz') {
          const { ready, reason } = readiness();
          return new Response(`${reason}\n`, { status: ready ? 200 : 503 });
        }
        return new Response('not found\n', { status: 404 });
      },
    });
    return { port: server.port ?? port, close: () => server.stop(true) };
  } catch (error) {
    throw new FlannelError('operator', `health endpoint: cannot listen on ${ip}:${port}`, {
      cause: error,
      cure: 'Choose another --healthz-port or stop the program that holds it',
    });
  }
}
