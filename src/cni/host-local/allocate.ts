import { Cidr } from '#net/cidr.ts';
import type { NetnsOrigin } from '#ipam/origin.ts';
import { holds, type Attachment, type Holder, type Store } from '#ipam/store.ts';
import { Ip } from '#net/ip.ts';
import { CniError, CODE } from '../error.ts';
import type { CniIp } from '../result.ts';
import { firstCandidate, rangeOf, showSet, type IpRange, type RangeSet } from './range.ts';

/** The container already holds an address of the range set. `ips` may be freed when its earlier ADD never completed. */
export class DuplicateAllocation extends CniError {
  readonly ips: readonly Ip[];

  constructor(index: number, ips: readonly Ip[], holder: Attachment) {
    super(
      CODE.INTERNAL,
      `failed to allocate for range ${index}: ${ips.join(', ')} has been allocated to ${holder.containerId}, ` +
        'duplicate allocation is not allowed',
      { details: `DEL container ${holder.containerId} interface ${holder.ifName} first` },
    );
    this.ips = ips;
  }
}

export interface AllocationRequest {
  readonly ranges: readonly RangeSet[];
  readonly requested: readonly Ip[];
  readonly holder: Attachment;
  /** The container's namespace, by which it is known to be gone one day. */
  readonly netns?: NetnsOrigin | undefined;
}

/**
 * One address of every range set, reserved in `store`: all or none. Throws CniError 999 when a set is full, when a
 * requested address is taken, and DuplicateAllocation.
 */
export function allocate(store: Store, request: AllocationRequest): CniIp[] {
  const holders = store.holders();
  refuseDuplicates(holders, request);
  const wanted = matchRequested(request);
  const done: Ip[] = [];
  try {
    return request.ranges.map((set, index) => {
      const asked = wanted.get(index);
      const taken =
        asked === undefined
          ? takeNext({ store, holders, request }, { set, index })
          : takeRequested({ store, holders, request }, { set, index, ip: asked });
      done.push(taken.ip);
      return { address: new Cidr(taken.ip, taken.range.subnet.length), gateway: taken.range.gateway };
    });
  } catch (error) {
    for (const ip of done) store.free(ip);
    throw error;
  }
}

function refuseDuplicates(holders: ReadonlyMap<string, Holder>, request: AllocationRequest): void {
  for (const [index, set] of request.ranges.entries()) {
    const own: Ip[] = [];
    for (const [text, holder] of holders) {
      if (!holds(holder, request.holder)) continue;
      const ip = Ip.parse(text);
      if (rangeOf(set, ip) !== undefined) own.push(ip);
    }
    if (own.length > 0) throw new DuplicateAllocation(index, own, request.holder);
  }
}

/** Requested addresses by range set. Throws when one fits no set, or two fit the same. */
function matchRequested(request: AllocationRequest): Map<number, Ip> {
  const wanted = new Map<number, Ip>();
  const left = request.requested.filter((ip) => {
    const index = request.ranges.findIndex((set, at) => !wanted.has(at) && rangeOf(set, ip) !== undefined);
    if (index >= 0) wanted.set(index, ip);
    return index < 0;
  });
  if (left.length === 0) return wanted;
  throw new CniError(CODE.INTERNAL, `failed to allocate all requested IPs: ${left.join(', ')}`, {
    details: `the ranges are ${request.ranges.map(showSet).join(' and ')}, one address of each`,
  });
}

interface Context {
  readonly store: Store;
  readonly holders: ReadonlyMap<string, Holder>;
  readonly request: AllocationRequest;
}

interface Taken {
  readonly ip: Ip;
  readonly range: IpRange;
}

function takeRequested(context: Context, want: { set: RangeSet; index: number; ip: Ip }): Taken {
  const { set, index, ip } = want;
  const range = rangeOf(set, ip);
  const fail = (why: string) => new CniError(CODE.INTERNAL, `failed to allocate for range ${index}: ${why}`);
  if (range === undefined) throw fail(`requested IP ${ip} is not in range set ${showSet(set)}`);
  if (range.gateway.equals(ip)) throw fail(`requested IP ${ip} is subnet's gateway`);
  if (!tryTake(context, ip) && !tryTakeAbandoned(context, ip)) {
    const holder = context.holders.get(ip.toString());
    const who = holder === undefined ? '' : `, container ${holder.containerId} holds it`;
    throw fail(`requested IP address ${ip} is not available in range set ${showSet(set)}${who}`);
  }
  return { ip, range };
}

function takeNext(context: Context, want: { set: RangeSet; index: number }): Taken {
  const { set, index } = want;
  const last = context.store.lastReserved(index);
  // Whether a container is gone without a DEL is looked at when there is no other way.
  const candidate =
    firstCandidate(set, last, ({ ip }) => tryTake(context, ip)) ??
    firstCandidate(set, last, ({ ip }) => tryTakeAbandoned(context, ip));
  if (candidate !== undefined) {
    try {
      context.store.setLastReserved(index, candidate.ip);
    } catch {
      // A full disk: it is only a hint where to look next, and the reservation itself is there.
    }
    return candidate;
  }
  throw new CniError(
    CODE.INTERNAL,
    `failed to allocate for range ${index}: no IP addresses available in range set: ${showSet(set)}`,
    { details: 'free addresses by removing containers, or by the CNI command GC; or use a larger range' },
  );
}

/** Takes `ip` when nobody holds it, or only a container of an earlier boot. */
function tryTake(context: Context, ip: Ip): boolean {
  const { store, holders, request } = context;
  const holder = holders.get(ip.toString());
  if (holder !== undefined) {
    if (!store.isStale(ip, holder)) return false;
    store.free(ip);
  }
  return store.reserve(ip, request.holder, request.netns);
}

/** Takes `ip` from a container whose namespace is gone. */
function tryTakeAbandoned({ store, holders, request }: Context, ip: Ip): boolean {
  const holder = holders.get(ip.toString());
  if (holder === undefined || !store.isAbandoned(ip, holder)) return false;
  store.free(ip);
  return store.reserve(ip, request.holder, request.netns);
}
