import { describe, hasErrno } from '#base/errors.ts';
import { parentOf, readText } from '#ffi/file-system.ts';
import { parseSubnetEnv, type SubnetEnv } from '#subnet/env-text.ts';
import { CniError, CODE } from '../error.ts';
import { isObject } from '../json.ts';
import type { Host } from '../plugin.ts';

/** How long ADD waits for the agent, ms: it starts in well under that, and every runtime waits longer for a plugin. */
export const AGENT_WAIT = 5_000;
const POLL = 50;

/** Reads `subnet.env`, waiting for it up to `waitMs`. Throws CniError 11 that says why the agent is not ready. */
export function awaitSubnetEnv(path: string, host: Host, waitMs: number): SubnetEnv {
  const end = host.now() + waitMs;
  for (;;) {
    try {
      return parseSubnetEnv(readText(path), path);
    } catch (error) {
      if (host.now() >= end) throw notReady(path, error);
    }
    host.sleep(POLL);
  }
}

function notReady(path: string, error: unknown): CniError {
  const why = hasErrno(error, 'ENOENT') ? 'no such file' : describe(error);
  return new CniError(
    CODE.TRY_AGAIN_LATER,
    `failed to load flannel 'subnet.env' file: open ${path}: ${why}`,
    {
      details:
        agentReason(path) ?? 'the Flannel agent of this node has not written it yet; see the log of its pod',
    },
  );
}

/** What the agent says in `status.json` beside `subnet.env` about not being ready; undefined when it says nothing. */
export function agentReason(path: string): string | undefined {
  const status = readStatus(path);
  if (status === undefined || status['ready'] === true) return undefined;
  const { reason } = status;
  return `the agent says: ${typeof reason === 'string' && reason !== '' ? reason : 'not ready'}`;
}

/** The agent's `status.json` beside `subnet.env`. */
export function statusPath(path: string): string {
  return `${parentOf(path)}/status.json`;
}

/** What it says; undefined when there is none to go by. */
export function readStatus(path: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(readText(statusPath(path)));
    return isObject(value) ? value : undefined;
  } catch {
    // The original agent writes none, and a damaged one says nothing.
    return undefined;
  }
}
