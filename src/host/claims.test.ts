import { expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { Ip } from '#net/ip.ts';
import { Claims, type EntryChange } from './claims.ts';
import { testMac, testPeer } from './fixtures.ts';
import { describeEntry, entryKey, sameEntry, type Entry } from './plan.ts';

const texts = (entries: Iterable<Entry>) => [...entries].map(describeEntry).sort();

function neighbour(ip: string, mac: number): Entry {
  return { type: 'neighbour', link: 'flannel.1', ip: Ip.parse(ip), mac: testMac(mac) };
}

test('a peer comes, stays the same, changes and goes', () => {
  const claims = new Claims();
  expect(texts(claims.set('n2', testPeer(2)).put)).toEqual(texts(testPeer(2)));
  expect(claims.set('n2', testPeer(2))).toEqual({ put: [], remove: [] });
  const changed = claims.set('n2', testPeer(3));
  expect(texts(changed.put)).toEqual(texts(testPeer(3)));
  expect(texts(changed.remove)).toEqual(texts(testPeer(2)));
  expect(texts(claims.set('n2', []).remove)).toEqual(texts(testPeer(3)));
  expect(claims.entries.size).toBe(0);
  expect(claims.set('n2', [])).toEqual({ put: [], remove: [] });
});

/** Two owners of one key, in every order of coming. */
for (const order of [
  ['a', 'b'],
  ['b', 'a'],
] as const) {
  test(`two owners of one key, ${order.join(' then ')}: the first by name has it, the other inherits`, () => {
    const claims = new Claims();
    const of = { a: neighbour('10.244.2.0', 10), b: neighbour('10.244.2.0', 11) };
    for (const owner of order) claims.set(owner, [of[owner]]);
    expect(texts(claims.entries.values())).toEqual([describeEntry(of.a)]);
    expect(claims.conflicts()).toEqual([{ entry: of.b, winner: 'a', loser: 'b' }]);
    // The loser may change without any effect.
    const late = neighbour('10.244.2.0', 12);
    expect(claims.set('b', [late])).toEqual({ put: [], remove: [] });
    expect(claims.set('a', [])).toEqual({ put: [late], remove: [] });
    expect(claims.conflicts()).toEqual([]);
    expect(claims.set('a', [of.a])).toEqual({ put: [of.a], remove: [] });
    expect(claims.set('b', [])).toEqual({ put: [], remove: [] });
    expect(claims.conflicts()).toEqual([]);
    expect(claims.set('a', [])).toEqual({ put: [], remove: [of.a] });
  });
}

test('a group of changes reports only what is different afterwards', () => {
  const claims = new Claims();
  claims.set('n2', testPeer(2));
  const back = claims.apply([
    ['n2', testPeer(3)],
    ['n2', testPeer(2)],
    ['n4', testPeer(4)],
    ['n4', []],
  ]);
  expect(back).toEqual({ put: [], remove: [] });
});

test('what is removed is what the kernel has, not what a group of changes put in between', () => {
  const claims = new Claims();
  const fdb = (n: number): Entry => ({
    type: 'fdb',
    link: 'flannel.1',
    mac: testMac(2),
    dst: Ip.parse(`192.168.50.${n}`),
  });
  claims.set('n2', [fdb(2)]);
  const change = claims.apply([
    ['n2', [fdb(3)]],
    ['n2', []],
  ]);
  expect(change).toEqual({ put: [], remove: [fdb(2)] });
});

const entry = fc
  .record({ key: fc.integer({ min: 0, max: 3 }), value: fc.integer({ min: 1, max: 3 }) })
  .map(({ key, value }) => neighbour(`10.244.${key}.0`, value));
const wish = fc.tuple(
  fc.constantFrom('a', 'b', 'c', 'd'),
  fc.uniqueArray(entry, { selector: entryKey, maxLength: 4 }),
);
const groups = fc.array(fc.array(wish, { maxLength: 4 }), { maxLength: 12 });

/** The kernel as it is strict with removals: only what it has, field by field. */
function write(kernel: Map<string, Entry>, change: EntryChange): void {
  for (const gone of change.remove) {
    const there = kernel.get(entryKey(gone));
    if (there === undefined || !sameEntry(there, gone))
      throw new Error(`${describeEntry(gone)} is not there`);
    kernel.delete(entryKey(gone));
  }
  for (const put of change.put) kernel.set(entryKey(put), put);
}

test('whatever the order of events, the entries are a function of the final claims, and the changes lead there', () => {
  fc.assert(
    fc.property(groups, (list) => {
      const claims = new Claims();
      const loaded = new Claims();
      const kernel = new Map<string, Entry>();
      const final = new Map<string, readonly Entry[]>();
      for (const group of list) {
        write(kernel, claims.apply(group));
        loaded.load(group);
        for (const [owner, wanted] of group) final.set(owner, wanted);
      }
      const model = new Map<string, Entry>();
      let losers = 0;
      for (const owner of [...final.keys()].sort()) {
        for (const wanted of final.get(owner) ?? []) {
          if (model.has(entryKey(wanted))) losers += 1;
          else model.set(entryKey(wanted), wanted);
        }
      }
      expect(texts(claims.entries.values())).toEqual(texts(model.values()));
      expect(texts(loaded.entries.values())).toEqual(texts(model.values()));
      expect(texts(kernel.values())).toEqual(texts(model.values()));
      expect(claims.conflicts()).toHaveLength(losers);
    }),
    { numRuns: 500 },
  );
});
