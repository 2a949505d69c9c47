import { expect, test } from 'bun:test';
import { Claims } from '#host/claims.ts';
import { testPeer } from '#host/fixtures.ts';
import { entryKey } from '#host/plan.ts';
import type { LeftOutReason } from '#subnet/lease.ts';
import { summarisePeers } from './peers-summary.ts';

function sum(parts: {
  readonly claims?: Claims;
  readonly reasons?: Record<string, LeftOutReason>;
  readonly unreadable?: Record<string, LeftOutReason>;
  readonly refused?: readonly string[];
}) {
  const { claims = new Claims(), reasons = {}, unreadable = {}, refused = [] } = parts;
  const summary = summarisePeers({
    peers: { names: new Set(['n2', 'n3', 'n4']), reasons: new Map(Object.entries(reasons)), claims },
    unreadable: new Map(Object.entries(unreadable)),
    refused: new Set(refused),
  });
  const leftOut = [...summary.leftOut.values()].reduce((all, count) => all + count, 0);
  expect(summary.programmed + leftOut).toBe(summary.wanted);
  return { ...summary, leftOut: Object.fromEntries(summary.leftOut) };
}

function claims(numbers: Readonly<Record<string, number>>): Claims {
  const made = new Claims();
  for (const [name, number] of Object.entries(numbers)) made.set(name, testPeer(number));
  return made;
}

test('all in the kernel', () => {
  expect(sum({})).toEqual({ leases: 3, wanted: 3, programmed: 3, leftOut: {}, conflicts: 0 });
});

test('left out by the store: with and without a lease', () => {
  expect(sum({ unreadable: { n4: 'unreadable', n9: 'pod_cidr' } })).toEqual({
    leases: 3,
    wanted: 4,
    programmed: 2,
    leftOut: { unreadable: 1, pod_cidr: 1 },
    conflicts: 0,
  });
});

test('left out by the backend, by another peer, by the kernel; each peer once', () => {
  const all = claims({ n2: 2, n3: 3, n4: 2 });
  const [, , route] = testPeer(3).map(entryKey);
  expect(sum({ claims: all, reasons: { n2: 'own_mac' }, refused: [String(route)] })).toEqual({
    leases: 3,
    wanted: 3,
    programmed: 0,
    leftOut: { own_mac: 1, conflict: 1, refused: 1 },
    conflicts: 3,
  });
  expect(sum({ claims: all, reasons: { n4: 'backend' }, unreadable: { n4: 'unreadable' } }).leftOut).toEqual({
    unreadable: 1,
  });
});
