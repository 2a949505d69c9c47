import { readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '#base/errors.ts';
import type { FlagValues } from '#daemon/flag-table.ts';
import { parseFlags } from '#daemon/flags.ts';
import { runningAgent } from '../../cleanup/files.ts';
import type { DoctorOptions } from './options.ts';

/** The agent of this network namespace: a running one, or the one that would be started. */
export interface AgentFacts {
  /** Undefined: none runs. */
  readonly pid: number | undefined;
  /** What it was started with, and what was given by hand. */
  readonly flags: FlagValues;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where it sees its `/`, from here: another path when it runs in a container. */
  readonly root: string;
  /** Why its command line cannot be read as flags. */
  readonly badFlags: string | undefined;
}

/** Looks for a running agent; without one, what the environment here says. */
export function findAgent(
  options: DoctorOptions,
  env: Readonly<Record<string, string | undefined>>,
): AgentFacts {
  const pid = runningAgent();
  const started = pid === undefined ? undefined : startOf(pid);
  const words = started?.args ?? [];
  const agentEnv = started?.env ?? env;
  let flags: FlagValues = parseFlags([], {}).values;
  let badFlags: string | undefined =
    pid !== undefined && started === undefined
      ? 'its /proc entry cannot be read with these rights'
      : undefined;
  try {
    flags = parseFlags(words, agentEnv).values;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    badFlags = error.message;
  }
  const root = pid === undefined || sameFiles(pid) ? '' : `/proc/${pid}/root`;
  return { pid, env: agentEnv, root, badFlags, flags: { ...flags, ...options.agent } };
}

/** A path of the agent's, as it can be opened from here. */
export function seenFrom({ root }: Pick<AgentFacts, 'root'>, path: string): string {
  return root === '' ? path : join(root, path);
}

/** Undefined when it has just ended. */
function startOf(pid: number): { args: string[]; env: Record<string, string> } | undefined {
  try {
    const lines = (name: string) => readFileSync(`/proc/${pid}/${name}`, 'utf8').split('\0').slice(0, -1);
    const env = lines('environ').flatMap((line) => {
      const [, key, value] = /^([^=]+)=([\s\S]*)$/.exec(line) ?? [];
      return key === undefined || value === undefined ? [] : [[key, value] as const];
    });
    return { args: lines('cmdline').slice(1), env: Object.fromEntries(env) };
  } catch {
    return undefined;
  }
}

function sameFiles(pid: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/ns/mnt`) === readlinkSync('/proc/self/ns/mnt');
  } catch {
    return true;
  }
}
