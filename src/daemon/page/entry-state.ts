import { ErrnoError, describe, isNotFound } from '#base/errors.ts';
import { DEFAULT_PRIORITY, hasDefaultPriority } from '#host/entries.ts';
import { entryKey, type Entry, type FdbPlanEntry, type NeighbourEntry, type RouteEntry } from '#host/plan.ts';
import type { EntryView } from '#page/model.ts';
import type { Rtnetlink } from '#rtnetlink/client.ts';
import { NUD, RT_TABLE, RTN } from '#rtnetlink/constants.ts';
import type { Route } from '#rtnetlink/route.ts';

/** What is asked of the kernel: single objects, since its tables are thousands long. */
export type EntryKernel = Pick<Rtnetlink, 'link' | 'neighbour' | 'fdbEntry' | 'routeTo'>;

type Found = Pick<EntryView, 'state' | 'found'>;

/** Compares entries of one peer with the kernel as it is now. */
export function entryStates(
  entries: readonly Entry[],
  { kernel, refused }: { readonly kernel: EntryKernel; readonly refused: ReadonlySet<string> },
): EntryView[] {
  return entries.map((entry) => {
    const found = look(entry, kernel);
    // What the kernel has taken in the end is no longer refused.
    const state = found.state === 'missing' && refused.has(entryKey(entry)) ? 'refused' : found.state;
    return { type: entry.type, text: entryText(entry), ...found, state };
  });
}

/** In the form of `ip route`, `ip neigh` and `bridge fdb`. */
export function entryText(entry: Entry): string {
  switch (entry.type) {
    case 'route':
      return `${entry.dst} via ${entry.gateway} dev ${entry.link}${entry.onlink ? ' onlink' : ''}`;
    case 'neighbour':
      return `${entry.ip} dev ${entry.link} lladdr ${entry.mac} PERMANENT`;
    case 'fdb':
      return `${entry.mac} dev ${entry.link} dst ${entry.dst} self permanent`;
  }
}

function look(entry: Entry, kernel: EntryKernel): Found {
  try {
    const link = kernel.link(entry.link)?.index;
    if (link === undefined) return { state: 'missing', found: `there is no ${entry.link}` };
    switch (entry.type) {
      case 'neighbour':
        return neighbour(entry, link, kernel);
      case 'fdb':
        return fdb(entry, link, kernel);
      case 'route':
        return route(entry, link, kernel);
    }
  } catch (error) {
    if (isNotFound(error)) return { state: 'missing' };
    if (error instanceof ErrnoError) return { state: 'unread', found: describe(error) };
    throw error;
  }
}

function neighbour({ ip, mac, link: name }: NeighbourEntry, link: number, kernel: EntryKernel): Found {
  const there = kernel.neighbour(link, ip);
  if (there === undefined) return { state: 'missing' };
  const permanent = (there.state & NUD.PERMANENT) !== 0;
  if (permanent && there.mac?.equals(mac) === true) return { state: 'present' };
  if (there.mac === undefined) return { state: 'missing' };
  return { state: 'other', found: `${ip} dev ${name} lladdr ${there.mac}${permanent ? ' PERMANENT' : ''}` };
}

function fdb({ mac, dst, link: name }: FdbPlanEntry, link: number, kernel: EntryKernel): Found {
  const there = kernel.fdbEntry(link, mac);
  if (there === undefined) return { state: 'missing' };
  if (there.dst?.equals(dst) === true && (there.state & NUD.PERMANENT) !== 0) return { state: 'present' };
  return { state: 'other', found: `${mac} dev ${name}${there.dst === undefined ? '' : ` dst ${there.dst}`}` };
}

/** What the kernel answers with for the first address of the destination, as an entry of its table. */
function route(entry: RouteEntry, link: number, kernel: EntryKernel): Found {
  const { dst, gateway, onlink } = entry;
  let there: Route;
  try {
    there = kernel.routeTo(dst.ip, { entry: true });
  } catch (error) {
    if (!(error instanceof ErrnoError) || !NO_ROUTE.has(error.code)) throw error;
    return { state: 'missing', found: `packets for it find no way (${error.code})` };
  }
  const exact = there.dst?.equals(dst) === true && (there.table === RT_TABLE.MAIN || there.table === 0);
  if (!exact) return { state: 'missing', found: `packets for it go by ${routeText(there, kernel)}` };
  const same =
    there.link === link &&
    there.gateway?.equals(gateway) === true &&
    there.onlink === onlink &&
    there.type === RTN.UNICAST &&
    hasDefaultPriority(dst.family, there.priority);
  return same ? { state: 'present' } : { state: 'other', found: routeText(there, kernel) };
}

/** No entry at all, or one of a blackhole, unreachable or prohibiting route. */
const NO_ROUTE: ReadonlySet<string> = new Set(['ENETUNREACH', 'EHOSTUNREACH', 'EINVAL', 'EACCES']);

function routeText({ dst, gateway, link, priority, family }: Route, kernel: EntryKernel): string {
  const name = link === undefined ? undefined : (kernel.link(link)?.name ?? `${link}`);
  const words = [`${dst ?? 'default'}`];
  if (gateway !== undefined) words.push(`via ${gateway}`);
  if (name !== undefined) words.push(`dev ${name}`);
  if (priority !== undefined && priority !== DEFAULT_PRIORITY[family]) words.push(`metric ${priority}`);
  return words.join(' ');
}
