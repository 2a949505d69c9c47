import { expect, test } from 'bun:test';
import fc from 'fast-check';
import type { PeerView } from '../../model.ts';
import { COLUMNS, matcher, rowsOf, sortRows, windowOf } from './peer-table.ts';

function peer(name: string, subnet: string, state: PeerView['state'] = 'tunnel'): PeerView {
  return { name, subnets: [subnet], publicIps: [`192.168.0.${name.length}`], state };
}

const PEERS = [
  peer('n10', '10.244.10.0/24'),
  peer('n2', '10.244.2.0/24', 'refused'),
  peer('six', 'fd00:0:0:3::/64', 'direct'),
  peer('odd', 'what?', 'left_out'),
  peer('n1', '9.0.0.0/24'),
];

const names = (column: (typeof COLUMNS)[number], descending = false) =>
  sortRows(rowsOf(PEERS), { column, descending }).map((row) => row.peer.name);

test('addresses and numbers in names sort by value', () => {
  expect(names('subnet')).toEqual(['n1', 'n2', 'n10', 'six', 'odd']);
  expect(names('name')).toEqual(['n1', 'n2', 'n10', 'odd', 'six']);
  expect(names('name', true)).toEqual(['six', 'odd', 'n10', 'n2', 'n1']);
  expect(names('state').slice(0, 3)).toEqual(['n2', 'odd', 'six']);
});

test('search looks into everything, and an address finds the subnet that it is in', () => {
  const found = (query: string) =>
    rowsOf(PEERS)
      .filter(matcher(query))
      .map((row) => row.peer.name);
  expect(found('N1')).toEqual(['n10', 'n1']);
  expect(found('10.244.2.19')).toEqual(['n2']);
  expect(found('fd00:0:0:3::7')).toEqual(['six']);
  expect(found('n 192.168.0.3 10.244')).toEqual(['n10']);
  expect(found('  ')).toHaveLength(5);
  expect(found('.*')).toEqual([]);
});

test('sorting loses no peer, whatever the names', () => {
  const any = fc.array(
    fc.tuple(
      fc.string({ unit: 'grapheme' }),
      fc.string(),
      fc.constantFrom('tunnel', 'direct', 'refused', 'left_out'),
    ),
  );
  fc.assert(
    fc.property(any, fc.constantFrom(...COLUMNS), fc.boolean(), (list, column, descending) => {
      const peers = list.map(([name, subnet, state]) => peer(name, subnet, state));
      const sorted = sortRows(rowsOf(peers), { column, descending });
      expect(new Set(sorted.map((row) => row.peer))).toEqual(new Set(peers));
    }),
  );
});

test('the window holds what is in sight and stays inside', () => {
  expect(windowOf({ top: 0, height: 300 }, 30, 1000)).toEqual({ from: 0, to: 18 });
  expect(windowOf({ top: 3000, height: 300 }, 30, 1000)).toEqual({ from: 92, to: 118 });
  expect(windowOf({ top: 9e9, height: 300 }, 30, 20)).toEqual({ from: 20, to: 20 });
  expect(windowOf({ top: -50, height: 300 }, 30, 0)).toEqual({ from: 0, to: 0 });
});
