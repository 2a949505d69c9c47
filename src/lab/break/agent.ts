import { systemClock } from '#base/clock.ts';
import type { LabState, NodeState } from '../state/state.ts';
import type { Control } from './control.ts';

export interface AgentWatch {
  readonly control: Control;
  readonly node: NodeState;
  /** Reads the lab's state anew. */
  readonly state: () => LabState | undefined;
}

/** kill -9 of the node's agent; says what it did. */
export function killAgent(node: NodeState): string {
  if (node.agentPid !== undefined) process.kill(node.agentPid, 'SIGKILL');
  return `kill -9 ${node.agentPid} (flanneld of ${node.name})`;
}

/** Waits until another flanneld runs on the node and says ready; false when it does not within `limitMs`. */
export async function agentBack({ control, node, state }: AgentWatch, limitMs: number): Promise<boolean> {
  const start = performance.now();
  while (performance.now() - start < limitMs) {
    const now = state()?.nodes.find(({ name }) => name === node.name);
    const restarted = now?.agentPid !== undefined && now.agentPid !== node.agentPid;
    if (restarted && (await control.isReady(node.ip))) return true;
    await systemClock.sleep(20);
  }
  return false;
}
