import { ConfigError, FlannelError } from '#base/errors.ts';
import { METRICS_CONTENT_TYPE } from '#base/metrics.ts';

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

export interface HealthSources {
  readonly readiness: () => Readiness;
  /** The page of metrics, made anew. */
  readonly metrics: () => string;
}

/**
 * `GET /healthz`: 200 while the process runs. `GET /readyz`: 200 when ready, else 503 with the reason. `GET /metrics`: for Prometheus.
 */
export function startHealth(ip: string, port: number, sources: HealthSources): HealthServer {
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
          const { ready, reason } = sources.readiness();
          return new Response(`${reason}\n`, { status: ready ? 200 : 503 });
        }
        if (pathname === '/metrics')
          return new Response(sources.metrics(), { headers: { 'content-type': METRICS_CONTENT_TYPE } });
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
