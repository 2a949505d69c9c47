import { chmodSync } from 'node:fs';
import { describe } from '#base/errors.ts';
import type { AgentSwitch } from './agent-switch.ts';
import type { LabManager } from './manager.ts';
import type { Plugins, PodKeeper } from './pods.ts';

/** Seconds that an answer may take: an agent has a minute to get ready. */
const PATIENCE_S = 120;

export interface HandsParts {
  readonly agents: AgentSwitch;
  readonly pods: PodKeeper;
  readonly manager: LabManager;
}

/** The socket by which `migrate` does what operators and kubelets do: agents start and end, pods are replaced. */
export function startHands(path: string, { agents, pods, manager }: HandsParts): void {
  Bun.serve({
    unix: path,
    routes: {
      '/agents/:node': {
        PUT: async (request, server) => {
          server.timeout(request, PATIENCE_S);
          await agents.start(request.params.node);
          return Response.json({});
        },
        DELETE: async (request) => Response.json({ code: await agents.stop(request.params.node) }),
      },
      '/pods/:pod/:plugins': {
        PUT: async (request, server) => {
          server.timeout(request, PATIENCE_S);
          const { pod, plugins } = request.params;
          if (!isPlugins(plugins)) return new Response('plugins', { status: 400 });
          return Response.json(await pods.replace(pod, plugins));
        },
      },
      '/annotations/:node': { GET: ({ params: { node } }) => Response.json(manager.annotations(node)) },
    },
    error: (error) => new Response(describe(error), { status: 500 }),
    fetch: () => new Response('unknown', { status: 404 }),
  });
  chmodSync(path, 0o600);
}

function isPlugins(word: string): word is Plugins {
  return word === 'ours' || word === 'original';
}
