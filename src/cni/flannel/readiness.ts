import { readFileSync, statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, hasErrno } from '#base/errors.ts';
import { readSubnetEnv, type SubnetEnv } from '#subnet/env.ts';
import { CniError, CODE } from '../error.ts';
import { isObject } from '../json.ts';
import type { Host } from '../plugin.ts';

/** How long ADD waits for the agent, ms: it starts in well under that, and every runtime waits longer for a plugin. */
export const AGENT_WAIT = 5_000;
const POLL = 50;
/** `linux/magic.h` TMPFS_MAGIC: what is on it is of this boot. */
const TMPFS_MAGIC = 0x01021994;

/** Reads `subnet.env`, waiting for it up to `waitMs`. Throws CniError 11 that says why the agent is not ready. */
export function awaitSubnetEnv(path: string, host: Host, waitMs: number): SubnetEnv {
  const end = host.now() + waitMs;
  for (;;) {
    try {
      return readSubnetEnv(path);
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
function agentReason(path: string): string | undefined {
  const status = readStatus(path);
  if (status === undefined || status['ready'] === true) return undefined;
  const { reason } = status;
  return `the agent says: ${typeof reason === 'string' && reason !== '' ? reason : 'not ready'}`;
}

function readStatus(path: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(`${dirname(path)}/status.json`, 'utf8'));
    return isObject(value) ? value : undefined;
  } catch {
    // The original agent writes none, and a damaged one says nothing.
    return undefined;
  }
}

/** STATUS: throws CniError 50 until the agent of this boot is up. */
export function requireAgent(path: string, host: Host): void {
  let reason: string | undefined;
  try {
    readSubnetEnv(path);
    if (isOfEarlierBoot(path, host)) reason = `${path} was written before this boot`;
    else if (readStatus(path)?.['ready'] === false) reason = agentReason(path);
  } catch (error) {
    reason = hasErrno(error, 'ENOENT') ? (agentReason(path) ?? `${path} does not exist`) : describe(error);
  }
  if (reason === undefined) return;
  throw new CniError(CODE.NOT_AVAILABLE, 'the Flannel agent of this node is not ready', { details: reason });
}

/**
 * On a file system that outlives a boot the file's time tells. Both ends come from the same clock, which may have been
 * set in between: only a file that is clearly older counts.
 */
function isOfEarlierBoot(path: string, host: Host): boolean {
  if (statfsSync(path).type === TMPFS_MAGIC) return false;
  const uptimeMs = Number.parseFloat(readFileSync('/proc/uptime', 'utf8')) * 1000;
  const bootedAt = host.wallClock() - uptimeMs;
  return statSync(path).mtimeMs < bootedAt - 60_000;
}
