import { systemClock } from '#base/clock.ts';
import { readSysctl } from '#host/sysctl.ts';
import { askAgent, NoAgent } from '#daemon/inspect/ask.ts';
import { programRunner, type RunProgram } from '#traffic/exec.ts';
import { kernelTrials, type KernelTrial } from '../probe/kernel-trial.ts';

/** What checks learn of the machine beside its network: a test puts its own in their place. */
export interface HostAccess {
  /** A sysctl by its path below /proc/sys; undefined when there is none. */
  readonly sysctl: (path: string) => string | undefined;
  readonly run: RunProgram;
  /** Whether the kernel can do what Flannel needs, tried out where it disturbs nobody. */
  readonly trials: readonly KernelTrial[];
  /** Whether the agent at the socket is there and does not answer. */
  readonly hangs: (socket: string) => Promise<boolean>;
  /** Wall clock, ms. */
  readonly now: () => number;
}

/** Longest run of a program, ms. */
const PROGRAM_MS = 5000;

export function systemAccess(env: Readonly<Record<string, string | undefined>>): HostAccess {
  return {
    sysctl: readSysctl,
    run: programRunner({ env, timeoutMs: PROGRAM_MS }),
    trials: kernelTrials(),
    hangs,
    now: () => systemClock.now(),
  };
}

async function hangs(socket: string): Promise<boolean> {
  try {
    await askAgent(socket, '/status');
    return false;
  } catch (error) {
    if (error instanceof NoAgent) return error.hangs;
    throw error;
  }
}
