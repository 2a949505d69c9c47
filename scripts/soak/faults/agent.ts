import { systemClock } from '#base/clock.ts';
import { FlannelError } from '#base/errors.ts';
import type { Agent } from '../agent.ts';
import type { Attempt, FaultKind } from '../fault.ts';
import type { SoakNode } from '../node.ts';
import { otherBuild } from '../other-build.ts';
import { KERNEL_FAULTS } from './kernel.ts';

/** From the start of an agent until everything is as planned and it says so, ms. */
const START_BOUND = 10_000;

function agentOf(node: SoakNode): Agent {
  if (node.agent === undefined) throw new FlannelError('bug', `${node.name} has no agent`);
  return node.agent;
}

/** SIGTERM ends it in order, with exit code 0. */
async function stop(node: SoakNode, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  const code = await agentOf(node).stop(signal);
  if (signal === 'SIGTERM' && code !== 0)
    throw new FlannelError('bug', `flanneld of ${node.name} ended with ${code} after SIGTERM`);
}

function attempt(what: string, run: () => Promise<void>): Attempt {
  return { what, hurts: [], bound: START_BOUND, run };
}

/** No packet may be lost by any of these, except for what is broken while the agent is away. */
export const AGENT_FAULTS: readonly FaultKind[] = [
  ...(['SIGKILL', 'SIGTERM'] as const).map((signal): FaultKind => ({
    name: signal === 'SIGKILL' ? 'agent-kill' : 'agent-term',
    on: 'node',
    weight: 2,
    endsAgent: true,
    draw: ({ node, random }) => {
      const pause = random.chance(0.5) ? 0 : random.between(100, 2500);
      return attempt(`${signal}, started again after ${pause} ms`, async () => {
        await stop(node, signal);
        await systemClock.sleep(pause);
        agentOf(node).start();
      });
    },
  })),
  {
    name: 'agent-upgrade',
    on: 'node',
    weight: 2,
    endsAgent: true,
    draw: ({ node, random }) => {
      const signal = random.pick(['SIGKILL', 'SIGTERM'] as const);
      return attempt(`${signal}, and another build is started`, async () => {
        const agent = agentOf(node);
        agent.exchange(await otherBuild());
        await stop(node, signal);
        agent.start();
      });
    },
  },
  {
    name: 'agent-kill-early',
    on: 'node',
    endsAgent: true,
    draw: ({ node, random }) => {
      const pauses = Array.from({ length: random.between(1, 4) }, () => random.between(10, 400));
      return attempt(`SIGKILL ${pauses.join(', ')} ms after the start`, async () => {
        for (const pause of [0, ...pauses]) {
          await systemClock.sleep(pause);
          await stop(node, 'SIGKILL');
          agentOf(node).start();
        }
      });
    },
  },
  {
    name: 'agent-away',
    on: 'node',
    weight: 2,
    endsAgent: true,
    draw: (draw) => {
      const { node, random } = draw;
      const broken = random.pick(KERNEL_FAULTS.filter(({ fits }) => fits?.(node) ?? true)).draw(draw);
      const pause = random.between(0, 2000);
      return {
        ...attempt(`SIGTERM; ${broken.what}; started again after ${pause} ms`, async () => {
          await stop(node, 'SIGTERM');
          await broken.run();
          await systemClock.sleep(pause);
          agentOf(node).start();
        }),
        hurts: broken.hurts,
      };
    },
  },
  {
    name: 'agent-frozen',
    on: 'node',
    draw: ({ node, random }) => {
      const pause = random.between(500, 4000);
      return attempt(`SIGSTOP for ${pause} ms`, async () => {
        agentOf(node).freeze();
        await systemClock.sleep(pause);
        agentOf(node).thaw();
      });
    },
  },
];
