import { expect } from 'bun:test';
import type { AgentProcess } from './agent-process.ts';
import { AT_ONCE, eventually, timeUntil } from './eventually.ts';
import { overlayState } from './kernel-text.ts';
import { must } from './netns.ts';

/** Name, what somebody does to the node, and what the log must say of it. */
export type Damage = readonly [name: string, argv: readonly string[], words: string];

/** The lines of the log that tell of a repair. */
export function repairs(agent: AgentProcess): string[] {
  return agent.log.split('\n').filter((line) => /repaired|put back|written again/.test(line));
}

/** Does one damage after another; each must be repaired at once and told once. Throws what is not so. */
export async function repairEach(
  agent: AgentProcess,
  devices: readonly string[],
  damages: readonly Damage[],
): Promise<void> {
  await Bun.sleep(100);
  const sound = overlayState(devices);
  for (const [name, argv, words] of damages) {
    const before = repairs(agent).length;
    must(argv);
    const took = await timeUntil(() =>
      expect({ name, ...overlayState(devices) }).toEqual({ name, ...sound }),
    );
    await eventually(() =>
      expect({ name, lines: repairs(agent).length }).toEqual({ name, lines: before + 1 }),
    );
    // Notifications of our own repair must not be taken for another damage.
    await Bun.sleep(80);
    const said = repairs(agent).slice(before);
    expect({ name, lines: said.length, said: said.join('\n') }).toEqual({
      name,
      lines: 1,
      said: expect.stringContaining(words),
    });
    if (took > AT_ONCE) throw new Error(`${name}: repaired only after ${Math.round(took)} ms`);
    // Damages that follow each other closely are waited out longer and longer; these are independent.
    await Bun.sleep(20);
  }
  expect(agent.count('ERROR')).toBe(0);
}
