import { expect, test } from 'bun:test';
import type { Backend } from '#backend/backend.ts';
import { testPeer } from '#host/fixtures.ts';
import { describeEntry, type Entry } from '#host/plan.ts';
import type { Lease } from '#subnet/lease.ts';
import type { LeaseEvent } from '#subnet/manager.ts';
import { recordedLog } from './fixtures.ts';
import { Peers } from './peers.ts';

/** A backend that takes `backendType` for the number of a test peer; `bad <reason>` is rejected. */
const backend: Backend = {
  type: 'test',
  mtu: 1450,
  links: [],
  backendData: {},
  peer({ backendType }) {
    if (!backendType.startsWith('bad ')) return { entries: testPeer(Number(backendType)), rejected: [] };
    return { entries: [], rejected: [{ family: 'ipv4', kind: 'backend', reason: backendType.slice(4) }] };
  },
};

const lease = (name: string, what: string): Lease => ({ name, backendType: what, families: {} });
const put = (name: string, what: string): LeaseEvent => ({ type: 'put', lease: lease(name, what) });
const drop = (name: string): LeaseEvent => ({ type: 'delete', name });
const reset = (...leases: readonly Lease[]): LeaseEvent => ({
  type: 'reset',
  leases: new Map(leases.map((each) => [each.name, each])),
});
const texts = (entries: readonly Entry[]) => entries.map(describeEntry);

test('peers come, change and go; a reset replaces all', () => {
  const { log, lines } = recordedLog();
  const peers = new Peers(backend, log);
  expect(texts(peers.take([put('n2', '2')]).put)).toEqual(texts(testPeer(2)));
  const changed = peers.take([put('n2', '3')]);
  expect([texts(changed.put), texts(changed.remove)]).toEqual([texts(testPeer(3)), texts(testPeer(2))]);
  const listed = peers.take([reset(lease('n4', '4'), lease('n5', '5'))]);
  expect(texts(listed.remove)).toEqual(texts(testPeer(3)));
  expect(listed.put).toHaveLength(6);
  expect(peers.size).toBe(2);
  expect(peers.take([reset(lease('n4', '4'), lease('n5', '5'))])).toEqual({ put: [], remove: [] });
  expect(texts(peers.take([drop('n4'), drop('n9')]).remove)).toEqual(texts(testPeer(4)));
  expect(peers.take([reset()]).remove).toHaveLength(3);
  expect(peers.size).toBe(0);
  expect(lines).toEqual([]);
});

test('a group of events counts as one step', () => {
  const peers = new Peers(backend, recordedLog().log);
  peers.take([put('n2', '2')]);
  expect(peers.take([drop('n2'), put('n2', '2')])).toEqual({ put: [], remove: [] });
  expect(peers.take([put('n3', '3'), drop('n3')])).toEqual({ put: [], remove: [] });
  const last = peers.take([put('n2', '5'), put('n2', '6'), reset(lease('n2', '7'))]);
  expect([texts(last.put), texts(last.remove)]).toEqual([texts(testPeer(7)), texts(testPeer(2))]);
});

test('why a peer is left out is said once, and again only when the reason changes', () => {
  const { log, lines } = recordedLog();
  const peers = new Peers(backend, log);
  for (let n = 0; n < 3; n += 1) expect(peers.take([put('n2', 'bad no MAC')]).put).toEqual([]);
  expect(lines).toEqual(['WARN  peer is left out peer=n2 reason="ipv4: no MAC"']);
  peers.take([put('n2', 'bad no address')]);
  peers.take([put('n2', '2')]);
  peers.take([put('n2', 'bad no address')]);
  expect(lines).toHaveLength(3);
  peers.take([drop('n2'), put('n2', 'bad no address')]);
  expect(lines).toHaveLength(4);
  expect(peers.size).toBe(1);
});

test('a sound peer that turns bad loses its entries', () => {
  const peers = new Peers(backend, recordedLog().log);
  peers.take([put('n2', '2')]);
  expect(texts(peers.take([put('n2', 'bad no MAC')]).remove)).toEqual(texts(testPeer(2)));
});

test('two peers with the same: told once for the subnet and once for the MAC', () => {
  const { log, lines } = recordedLog();
  const peers = new Peers(backend, log);
  peers.take([put('n2', '2'), put('n3', '2')]);
  peers.take([put('n4', '4')]);
  const line = (what: string) =>
    `WARN  two peers claim the same thing; the first by name keeps it what="${what}" winner=n2 loser=n3`;
  expect([...lines].sort()).toEqual([line('VTEP MAC 02:00:00:00:00:02'), line('pod subnet 10.244.2.0/24')]);
  peers.take([drop('n3')]);
  peers.take([put('n3', '2')]);
  expect(lines).toHaveLength(4);
});
