import { systemClock } from '#base/clock.ts';
import type { Cluster } from '../cluster.ts';
import type { Attempt, Draw, FaultKind } from '../fault.ts';
import { writeToken } from '../service-token.ts';
import { drawPaperChange } from './paper.ts';

/** Agents come back by a back-off with 15 s as its longest step: that is reached when the server fails again and again, ms. */
const API_BOUND = 20_000;

/** The API server is broken for a while; in half of the cases Nodes change meanwhile. */
function broken(
  draw: Draw,
  what: string,
  steps: { begin: () => unknown; ms: number; end: () => unknown },
): Attempt {
  const change = draw.random.chance(0.5) ? drawPaperChange(draw) : undefined;
  return {
    what: change === undefined ? what : `${what}; meanwhile ${change.what}`,
    hurts: [],
    bound: API_BOUND,
    run: async () => {
      try {
        await steps.begin();
        await systemClock.sleep(steps.ms / 2);
        change?.apply();
        await systemClock.sleep(steps.ms / 2);
      } finally {
        await steps.end();
      }
    },
  };
}

function cut(cluster: Cluster): void {
  cluster.api.faults.cutWatches('abrupt');
}

export const API_FAULTS: readonly FaultKind[] = [
  {
    name: 'api-refused',
    on: 'api',
    weight: 2,
    draw: (draw) => {
      const { faults } = draw.cluster.api;
      const ms = draw.random.between(300, 4000);
      return broken(draw, `the API server refuses connections for ${ms} ms`, {
        begin: () => faults.refuse(),
        ms,
        end: () => faults.listen(),
      });
    },
  },
  {
    name: 'api-slow',
    on: 'api',
    draw: (draw) => {
      const { cluster, random } = draw;
      const [delay, ms] = [random.between(200, 2000), random.between(500, 4000)];
      return broken(draw, `watches cut, and every answer takes ${delay} ms more for ${ms} ms`, {
        begin: () => {
          cluster.api.faults.delay(delay);
          cut(cluster);
        },
        ms,
        end: () => cluster.api.faults.delay(0),
      });
    },
  },
  {
    name: 'api-errors',
    on: 'api',
    weight: 2,
    draw: (draw) => {
      const { cluster, random } = draw;
      const code = random.pick([429, 500, 502, 503, 504]);
      const some = random.between(1, 3 * cluster.nodes.length);
      // Now and then every request fails for as long as it lasts.
      const times = random.chance(0.4) ? Number.POSITIVE_INFINITY : some;
      const ms = random.between(200, Number.isFinite(times) ? 2500 : 5000);
      const count = Number.isFinite(times) ? `${times} answers` : `for ${ms} ms all answers`;
      const retry = code === 429 || code === 503 ? { retryAfterSeconds: random.between(1, 2) } : {};
      const text = code === 502 || code === 504 ? { text: 'upstream is away\n' } : {};
      return broken(draw, `watches cut, and ${count} with ${code}`, {
        begin: () => {
          cluster.api.faults.answer({ code, times, ...retry, ...text });
          cut(cluster);
        },
        ms,
        end: () => cluster.api.faults.clear(),
      });
    },
  },
  {
    name: 'watches-cut',
    on: 'api',
    weight: 2,
    draw: (draw) => {
      const { cluster, random } = draw;
      const style = random.pick(['abrupt', 'mid-event', 'clean'] as const);
      return broken(draw, `watches cut (${style})`, {
        begin: () => cluster.api.faults.cutWatches(style),
        ms: random.between(0, 400),
        end: () => {},
      });
    },
  },
  {
    name: 'watches-garbage',
    on: 'api',
    draw: (draw) =>
      broken(draw, 'a line on every watch that is no event', {
        begin: () => draw.cluster.api.faults.garbage(),
        ms: draw.random.between(0, 400),
        end: () => {},
      }),
  },
  {
    name: 'watches-stalled',
    on: 'api',
    draw: (draw) => {
      const { faults } = draw.cluster.api;
      const ms = draw.random.between(500, 4000);
      return broken(draw, `watches say nothing for ${ms} ms`, {
        begin: () => faults.stallWatches(true),
        ms,
        end: () => faults.stallWatches(false),
      });
    },
  },
  {
    name: 'watches-replayed',
    on: 'api',
    weight: 2,
    draw: (draw) => {
      const { faults } = draw.cluster.api;
      const count = draw.random.between(1, 200);
      return broken(draw, `watches tell the last ${count} events once more`, {
        begin: () => faults.replay(count),
        ms: draw.random.between(0, 400),
        end: () => faults.replay(count),
      });
    },
  },
  {
    name: 'token-rotated',
    on: 'api',
    weight: 2,
    draw: (draw) => {
      const { cluster, random } = draw;
      const token = cluster.nextToken();
      const early = random.chance(0.5);
      const pause = random.between(0, early ? 500 : 3000);
      const write = () => cluster.nodes.forEach((node) => writeToken(node, token.fresh));
      const refuse = () => {
        cluster.api.faults.rejectToken(token.old);
        cut(cluster);
      };
      const [first, then] = early
        ? ['new token', 'the old one is refused']
        : ['token refused', 'the new one is there'];
      return broken(draw, `${first}, ${then} after ${pause} ms`, {
        begin: early ? write : refuse,
        ms: pause,
        end: early ? refuse : write,
      });
    },
  },
  {
    name: 'history-expired',
    on: 'api',
    draw: (draw) => {
      const { cluster, random } = draw;
      return broken(draw, 'watches cut, and the history is gone (410)', {
        begin: () => {
          cut(cluster);
          cluster.api.faults.expireHistory();
        },
        ms: random.between(0, 400),
        end: () => {},
      });
    },
  },
  {
    name: 'status-storm',
    on: 'api',
    draw: ({ cluster, random }) => {
      const rounds = random.between(20, 150);
      return {
        what: `${rounds} status updates of every Node at once`,
        hurts: [],
        bound: 3000,
        run: () => statusStorm(cluster, rounds),
      };
    },
  },
];

/** Heartbeats as kubelets send them, much faster. */
async function statusStorm(cluster: Cluster, rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    for (const { metadata } of cluster.api.nodes.list()) {
      cluster.api.nodes.update(metadata.name, (node) => {
        node.status = { ...node.status, heartbeat: `${round} ${Date.now()}` };
      });
    }
    await systemClock.sleep(1);
  }
}
