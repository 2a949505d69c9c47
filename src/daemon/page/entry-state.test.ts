import { expect, test } from 'bun:test';
import { ERRNO, ErrnoError } from '#base/errors.ts';
import { entryKey, type Entry } from '#host/plan.ts';
import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import { Mac } from '#net/mac.ts';
import { NUD, RT_TABLE, RTN } from '#rtnetlink/constants.ts';
import type { Route } from '#rtnetlink/route.ts';
import { entryStates, type EntryKernel } from './entry-state.ts';

const MAC = Mac.parse('02:00:00:00:00:02');
const OTHER = Mac.parse('02:00:00:00:00:03');
const NEIGHBOUR: Entry = { type: 'neighbour', link: 'flannel.1', ip: Ip.parse('10.244.2.0'), mac: MAC };
const FDB: Entry = { type: 'fdb', link: 'flannel.1', mac: MAC, dst: Ip.parse('192.0.2.2') };
const ROUTE: Entry = {
  type: 'route',
  link: 'flannel.1',
  dst: Cidr.parse('10.244.2.0/24'),
  gateway: Ip.parse('10.244.2.0'),
  onlink: true,
};
const LINKS: Readonly<Record<string, number>> = { 'flannel.1': 7, eth0: 2 };

const there = (parts: Partial<Route> = {}): Route => ({
  family: 'ipv4',
  dst: ROUTE.dst,
  gateway: ROUTE.gateway,
  link: 7,
  source: undefined,
  table: RT_TABLE.MAIN,
  protocol: 3,
  scope: 0,
  type: RTN.UNICAST,
  priority: undefined,
  onlink: true,
  flags: 4,
  cloned: false,
  ...parts,
});

function stateOf(entry: Entry, parts: Partial<EntryKernel>, refused: readonly string[] = []) {
  const kernel: EntryKernel = {
    link: (ref) => {
      const found = Object.entries(LINKS).find(([name, index]) => name === ref || index === ref);
      return found && ({ name: found[0], index: found[1] } as ReturnType<EntryKernel['link']>);
    },
    neighbour: () => undefined,
    fdbEntry: () => undefined,
    routeTo: () => {
      throw new ErrnoError('look up', ERRNO.ENETUNREACH);
    },
    ...parts,
  };
  const [view] = entryStates([entry], { kernel, refused: new Set(refused) });
  return [view?.state, view?.found];
}

test('neighbours', () => {
  const neighbour = (mac: Mac | undefined, state: number) => ({
    neighbour: () => ({ link: 7, ip: NEIGHBOUR.ip, mac, state, flags: 0 }),
  });
  expect(stateOf(NEIGHBOUR, neighbour(MAC, NUD.PERMANENT))).toEqual(['present', undefined]);
  expect(stateOf(NEIGHBOUR, neighbour(OTHER, NUD.PERMANENT))).toEqual([
    'other',
    '10.244.2.0 dev flannel.1 lladdr 02:00:00:00:00:03 PERMANENT',
  ]);
  expect(stateOf(NEIGHBOUR, neighbour(MAC, NUD.STALE))).toEqual([
    'other',
    '10.244.2.0 dev flannel.1 lladdr 02:00:00:00:00:02',
  ]);
  expect(stateOf(NEIGHBOUR, neighbour(undefined, NUD.FAILED))).toEqual(['missing', undefined]);
  expect(stateOf(NEIGHBOUR, {})).toEqual(['missing', undefined]);
  expect(stateOf(NEIGHBOUR, {}, [entryKey(NEIGHBOUR)])).toEqual(['refused', undefined]);
});

test('FDB entries', () => {
  const entry = (dst: string | undefined, state: number = NUD.PERMANENT) => ({
    fdbEntry: () => ({
      link: 7,
      mac: MAC,
      dst: dst === undefined ? undefined : Ip.parse(dst),
      state,
      flags: 2,
    }),
  });
  expect(stateOf(FDB, entry('192.0.2.2'))).toEqual(['present', undefined]);
  expect(stateOf(FDB, entry('192.0.2.3'))).toEqual(['other', `${MAC} dev flannel.1 dst 192.0.2.3`]);
  expect(stateOf(FDB, entry(undefined))).toEqual(['other', `${MAC} dev flannel.1`]);
  expect(stateOf(FDB, entry('192.0.2.2', NUD.REACHABLE))[0]).toBe('other');
});

test('routes: the very one, another in its place, or what packets take instead', () => {
  const route = (parts: Partial<Route>) => ({ routeTo: () => there(parts) });
  expect(stateOf(ROUTE, route({}))).toEqual(['present', undefined]);
  expect(stateOf(ROUTE, route({ link: 2, gateway: Ip.parse('192.0.2.1'), onlink: false }))).toEqual([
    'other',
    '10.244.2.0/24 via 192.0.2.1 dev eth0',
  ]);
  expect(stateOf(ROUTE, route({ priority: 50 }))).toEqual([
    'other',
    '10.244.2.0/24 via 10.244.2.0 dev flannel.1 metric 50',
  ]);
  expect(stateOf(ROUTE, route({ dst: undefined, gateway: Ip.parse('192.0.2.1'), link: 2 }))).toEqual([
    'missing',
    'packets for it go by default via 192.0.2.1 dev eth0',
  ]);
  expect(stateOf(ROUTE, route({ table: 100 }))[0]).toBe('missing');
  expect(stateOf(ROUTE, {})).toEqual(['missing', 'packets for it find no way (ENETUNREACH)']);
});

test('a device that is not there, and a kernel that does not say', () => {
  expect(stateOf(FDB, { link: () => undefined })).toEqual(['missing', 'there is no flannel.1']);
  const refuses = () => {
    throw new ErrnoError('read', ERRNO.EPERM);
  };
  expect(stateOf(FDB, { fdbEntry: refuses })).toEqual(['unread', expect.stringContaining('EPERM')]);
  expect(stateOf(ROUTE, { routeTo: refuses })[0]).toBe('unread');
});
