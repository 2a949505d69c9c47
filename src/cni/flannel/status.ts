import { readFileSync, statfsSync, statSync } from 'node:fs';
import { describe, hasErrno } from '#base/errors.ts';
import { parseSubnetEnv } from '#subnet/env-text.ts';
import { CniError, CODE } from '../error.ts';
import type { Host } from '../plugin.ts';
import { agentReason, readStatus, statusPath } from './readiness.ts';

/** `linux/magic.h` TMPFS_MAGIC: what is on it is of this boot. */
const TMPFS_MAGIC = 0x01021994;

/**
 * STATUS: throws CniError 50 until the agent of this boot is up, and 51 when it was up and says that it is not ready now:
 * pods that run may then not reach every other node.
 */
export function requireAgent(path: string, host: Host): void {
  const error = whyNot(path, host);
  if (error !== undefined) throw error;
}

function whyNot(path: string, host: Host): CniError | undefined {
  const message = 'the Flannel agent of this node is not ready';
  const unavailable = (details: string) => new CniError(CODE.NOT_AVAILABLE, message, { details });
  try {
    parseSubnetEnv(readFileSync(path, 'utf8'), path);
    if (isOfEarlierBoot([path, statusPath(path)], host))
      return unavailable(`${path} was written before this boot`);
  } catch (error) {
    return unavailable(
      hasErrno(error, 'ENOENT') ? (agentReason(path) ?? `${path} does not exist`) : describe(error),
    );
  }
  const status = readStatus(path);
  // Without its store the agent goes on with what it knows: pods can be added, and they reach the nodes that are known.
  if (status?.['ready'] !== false || status['serving'] === true) return undefined;
  return new CniError(CODE.LIMITED_CONNECTIVITY, message, { details: agentReason(path) });
}

/**
 * On a file system that outlives a boot the files' times tell: the agent writes its status at each start, `subnet.env`
 * only when there is something new. Both ends come from the same clock, which may have been set in between: only files
 * that are clearly older count.
 */
function isOfEarlierBoot(paths: readonly string[], host: Host): boolean {
  const uptimeMs = Number.parseFloat(readFileSync('/proc/uptime', 'utf8')) * 1000;
  const oldest = host.wallClock() - uptimeMs - 60_000;
  return paths.every((path) => {
    const file = statSync(path, { throwIfNoEntry: false });
    return file === undefined || (file.mtimeMs < oldest && statfsSync(path).type !== TMPFS_MAGIC);
  });
}
