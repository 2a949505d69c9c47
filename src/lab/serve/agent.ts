import { systemClock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import { enterArgv } from '../process/places.ts';
import { program } from '../process/run.ts';
import { HEALTH_PORT } from '../state/address-plan.ts';
import type { NodeState } from '../state/state.ts';
import { startHeld } from './child.ts';

/** kubelet restarts a dead container at once and then waits longer each time; here in small. */
const FIRST_RESTART_MS = 100;
const LAST_RESTART_MS = 10_000;
/** A run of this length counts as sound: the next restart is quick again. */
const SOUND_MS = 10_000;

export interface AgentOptions {
  readonly node: NodeState;
  /** Where it gets its subnet from. */
  readonly flags: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly logFile: string;
  readonly log: Logger<string>;
  /** Called with the process id of every start, and the number of restarts so far. */
  readonly onStart: (pid: number, restarts: number) => void;
}

/** The argv of flanneld as Flannel's manifest has it, but for the flags that name its store. */
export function agentArgv(flags: readonly string[]): string[] {
  return [program('flanneld'), '--ip-masq', ...flags, `--healthz-port=${HEALTH_PORT}`];
}

/** Runs the agent of one node, and again whenever it ends, as kubelet does for the DaemonSet's pod. */
export async function superviseAgent(options: AgentOptions): Promise<never> {
  const { node, log } = options;
  const argv = enterArgv({ kind: 'node', name: node.name, node }, agentArgv(options.flags));
  const env = { ...options.env, NODE_NAME: node.name };
  let delay = FIRST_RESTART_MS;
  for (let restarts = 0; ; restarts += 1) {
    const started = performance.now();
    const agent = startHeld(argv, { env, log: options.logFile });
    options.onStart(agent.pid, restarts);
    const code = await agent.exited;
    const ran = performance.now() - started;
    if (ran > SOUND_MS) delay = FIRST_RESTART_MS;
    log.warn('flanneld ends and is started again', {
      node: node.name,
      code,
      signal: agent.signalCode ?? undefined,
      inMs: delay,
    });
    await systemClock.sleep(delay);
    delay = Math.min(LAST_RESTART_MS, delay * 2);
  }
}
