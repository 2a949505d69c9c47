import { chmodSync } from 'node:fs';
import type { ApiServer } from '../api/server.ts';
import { isReady } from './readiness.ts';

/** The longest that `break api` may keep the API away. */
const MAX_CUT_MS = 60_000;

/** The control socket of a running lab: faults of the API server, and Nodes that exist on paper only. */
export function startControl(path: string, api: ApiServer): void {
  Bun.serve({
    unix: path,
    routes: {
      '/cut': {
        POST: async (request) => {
          const ms = Number(new URL(request.url).searchParams.get('ms'));
          if (!Number.isInteger(ms) || ms < 1 || ms > MAX_CUT_MS) return new Response('ms', { status: 400 });
          await api.faults.refuse();
          // Here and not in the command: a command that is interrupted must not leave the API cut.
          setTimeout(() => void api.faults.listen(), ms);
          return Response.json({});
        },
      },
      '/ready/:ip': { GET: async (request) => Response.json({ ready: await isReady(request.params.ip) }) },
      '/nodes/:name': {
        PUT: async (request) => {
          const { metadata, spec } = (await request.json()) as { metadata: { name: string }; spec: object };
          api.nodes.create({ metadata, spec: { ...spec } });
          return Response.json({});
        },
        DELETE: (request) => Response.json({ deleted: api.nodes.delete(request.params.name) }),
      },
    },
    fetch: () => new Response('unknown', { status: 404 }),
  });
  chmodSync(path, 0o600);
}
