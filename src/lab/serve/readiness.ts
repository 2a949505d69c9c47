import { readFileSync } from 'node:fs';
import { systemClock } from '#base/clock.ts';
import { FlannelError } from '#base/errors.ts';
import { Cidr } from '#net/cidr.ts';
import { HEALTH_PORT } from '../state/address-plan.ts';
import type { LabPaths } from '../state/paths.ts';
import type { NodeState } from '../state/state.ts';
import type { LabManager } from './manager.ts';

/** How long an agent may take from its start to Ready. */
const READY_LIMIT_MS = 60_000;

export interface ReadinessParts {
  readonly manager: LabManager;
  readonly paths: LabPaths;
}

/** Waits until the agent answers 200 on /readyz and its store agrees. */
export async function agentReady(node: NodeState, parts: ReadinessParts): Promise<void> {
  const start = performance.now();
  while (performance.now() - start < READY_LIMIT_MS) {
    if (parts.manager.nodeReady(node.name) && (await isReady(node.ip))) return;
    await systemClock.sleep(20);
  }
  const log = parts.paths.agentLog(node.name);
  throw new FlannelError(
    'kernel',
    `flanneld on ${node.name} was not ready within ${READY_LIMIT_MS / 1000} s`,
    {
      cause: lastWords(log),
    },
  );
}

/** FLANNEL_SUBNET of the node's `subnet.env`. */
export function leasedSubnet(node: { readonly pid: number }): string {
  try {
    const text = readFileSync(`/proc/${node.pid}/root/run/flannel/subnet.env`, 'utf8');
    return /^FLANNEL_SUBNET=(.*)$/m.exec(text)?.[1] ?? 'no FLANNEL_SUBNET';
  } catch {
    return 'no subnet.env';
  }
}

/** The subnet as a network. */
export function leasedNetwork(node: { readonly pid: number }): string | undefined {
  return Cidr.tryParse(leasedSubnet(node))?.network().toString();
}

/** Whether the agent at this address answers 200 on /readyz. */
export async function isReady(ip: string): Promise<boolean> {
  try {
    const answer = await fetch(`http://${ip}:${HEALTH_PORT}/readyz`, { signal: AbortSignal.timeout(1000) });
    return answer.ok;
  } catch {
    return false;
  }
}

function lastWords(log: string): Error {
  try {
    const lines = readFileSync(log, 'utf8').trimEnd().split('\n');
    return new Error(`its log ends: ${lines.slice(-3).join(' | ')}`);
  } catch {
    return new Error('it wrote no log');
  }
}
