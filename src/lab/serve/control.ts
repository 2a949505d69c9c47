import { chmodSync } from 'node:fs';
import { describe } from '#base/errors.ts';
import type { LabManager } from './manager.ts';
import { isReady } from './readiness.ts';

/** The longest that `break api` may keep the API away. */
const MAX_CUT_MS = 60_000;

/** The control socket of a running lab: the store away for a while, and a node that exists on paper only. */
export function startControl(
  path: string,
  { manager, backend }: { readonly manager: LabManager; readonly backend: string },
): void {
  Bun.serve({
    unix: path,
    routes: {
      '/cut': {
        POST: async (request) => {
          const ms = Number(new URL(request.url).searchParams.get('ms'));
          if (!Number.isInteger(ms) || ms < 1 || ms > MAX_CUT_MS) return new Response('ms', { status: 400 });
          await manager.cut(ms);
          return Response.json({});
        },
      },
      '/ready/:ip': { GET: async (request) => Response.json({ ready: await isReady(request.params.ip) }) },
      '/paper': {
        PUT: async () => {
          await manager.addPaperNode(backend);
          return Response.json({});
        },
        DELETE: async () => {
          await manager.removePaperNode();
          return Response.json({});
        },
      },
    },
    error: (error) => new Response(describe(error), { status: 500 }),
    fetch: () => new Response('unknown', { status: 404 }),
  });
  chmodSync(path, 0o600);
}
