import { readFileSync, statfsSync, statSync } from 'node:fs';
import { describe, hasErrno } from '#base/errors.ts';
import { parseSubnetEnv } from '#subnet/env-text.ts';
import { CniError, CODE } from '../error.ts';
import type { Host } from '../plugin.ts';
import { agentReason, readStatus } from './readiness.ts';

/** `linux/magic.h` TMPFS_MAGIC: what is on it is of this boot. */
const TMPFS_MAGIC = 0x01021994;

/** STATUS: throws CniError 50 until the agent of this boot is up. */
export function requireAgent(path: string, host: Host): void {
  let reason: string | undefined;
  try {
    parseSubnetEnv(readFileSync(path, 'utf8'), path);
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
