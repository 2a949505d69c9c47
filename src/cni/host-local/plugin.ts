import { ACCESS, isAccessible, parentOf, readText } from '#ffi/file-system.ts';
import { netnsOrigin } from '#ipam/origin.ts';
import { holds, Store, type Reservation } from '#ipam/store.ts';
import type { Ip } from '#net/ip.ts';
import { CniError, CODE } from '../error.ts';
import { validAttachments, type Invocation, type Plugin } from '../plugin.ts';
import type { CniIp, CniResult } from '../result.ts';
import { allocate, DuplicateAllocation, type AllocationRequest } from './allocate.ts';
import { parseHostLocal, storeDirOf } from './config.ts';

/**
 * Says whether a container's earlier ADD completed: whether `ips` stand on its interface. Undefined when that cannot be
 * found out.
 */
export type CompletedProbe = (call: Invocation, ips: readonly Ip[]) => Promise<boolean | undefined>;

/**
 * Reserves one address per range set. `completed` judges a reservation that this container already has; one of an ADD
 * that never completed is freed first. Throws CniError.
 */
export async function hostLocalAdd(call: Invocation, completed: CompletedProbe): Promise<CniResult> {
  const config = parseHostLocal(call.conf, call.args);
  const { containerId, ifName, netns } = call.args;
  const request = {
    ranges: config.ranges,
    requested: config.requested,
    holder: { containerId, ifName },
    netns: netnsOrigin(netns),
  };
  const dns =
    config.resolvConf === undefined
      ? {}
      : (await import('./resolv-conf.ts')).parseResolvConf(readText(config.resolvConf));
  using store = Store.open(config.storeDir, call.host.bootId());
  const ips = await allocateOnce(call, { store, request, completed });
  return { interfaces: [], ips, routes: config.routes, dns };
}

async function allocateOnce(
  call: Invocation,
  work: { store: Store; request: AllocationRequest; completed: CompletedProbe },
): Promise<CniIp[]> {
  const { store, request, completed } = work;
  try {
    return allocate(store, request);
  } catch (error) {
    if (!(error instanceof DuplicateAllocation)) throw error;
    if ((await completed(call, error.ips)) !== false) throw error;
    call.host.warn(
      `host-local: an earlier ADD of ${request.holder.containerId} never completed; freeing ${error.ips.join(', ')}`,
    );
    store.release(request.holder);
    return allocate(store, request);
  }
}

/** Frees what the container holds on this interface; returns the addresses, none when there is nothing. */
export function hostLocalDel(call: Invocation): readonly Ip[] {
  using store = Store.openExisting(storeDirOf(call.conf), call.host.bootId());
  return store?.release(call.args) ?? [];
}

function check(call: Invocation): void {
  const config = parseHostLocal(call.conf, call.args);
  using store = Store.openExisting(config.storeDir, call.host.bootId());
  const held = [...(store?.holders().values() ?? [])].some((holder) => holds(holder, call.args));
  if (held) return;
  throw new CniError(
    CODE.INTERNAL,
    `host-local: Failed to find address added by container ${call.args.containerId} on ${call.args.ifName}`,
    { details: `no file in ${config.storeDir} holds it` },
  );
}

/** What GC is going to free. */
export function hostLocalDead(call: Invocation): readonly Reservation[] {
  using store = Store.openExisting(storeDirOf(call.conf), call.host.bootId());
  return store?.heldExcept(validAttachments(call.conf)) ?? [];
}

/** Frees everything that no attachment in the runtime's list holds. */
export function hostLocalGc(call: Invocation): void {
  const valid = validAttachments(call.conf);
  using store = Store.openExisting(storeDirOf(call.conf), call.host.bootId());
  const freed = store?.releaseExcept(valid) ?? [];
  if (freed.length > 0) call.host.warn(`host-local: GC freed ${freed.length} addresses: ${freed.join(', ')}`);
}

/** ADD would work as far as can be seen without reserving: ranges are good, the store can be written. */
export function hostLocalStatus(call: Invocation): void {
  let dir = parseHostLocal(call.conf, call.args).storeDir;
  while (!isAccessible(dir, ACCESS.EXISTS) && parentOf(dir) !== dir) dir = parentOf(dir);
  if (isAccessible(dir, ACCESS.WRITE | ACCESS.EXECUTE)) return;
  throw new CniError(CODE.NOT_AVAILABLE, `host-local: ${dir} cannot be written`);
}

export const hostLocalPlugin: Plugin = {
  add: (call) =>
    hostLocalAdd(call, async (inner, ips) => {
      const { addressesPresent } = await import('../addresses-present.ts');
      return addressesPresent(inner.args, ips);
    }),
  del: (call) => void hostLocalDel(call),
  check,
  gc: hostLocalGc,
  status: hostLocalStatus,
};
