import { describe, expect, test } from 'bun:test';
import { ByteWriter } from '#base/bytes.ts';
import { Cidr } from '#net/cidr.ts';
import * as nft from './build.ts';
import { differences } from './compare.ts';
import { touchedTable } from './notification.ts';
import type { Rule, Table } from './objects.ts';
import { commentUserdata } from './userdata.ts';

const AT = { path: 'test', offset: 0 };

function table(rules: readonly Rule[], rest: Partial<Table> = {}): Table {
  return { family: 'ip', name: 't', chains: [{ name: 'c', rules }], ...rest };
}

describe('differences', () => {
  const [first, second] = [nft.rule([nft.accept]), nft.rule([nft.drop], 'x')];

  test('are none between equals, whatever counters say and handles are', () => {
    const counted = { ...nft.rule([[{ kind: 'counter', packets: 9n, bytes: 99n }], nft.accept]), handle: 4n };
    expect(differences(table([nft.rule([nft.counter(), nft.accept])]), table([counted]))).toEqual([]);
  });

  test('are told of order, comments, strangers and sleep', () => {
    const wanted = table([first, second]);
    expect(differences(wanted, undefined)).toEqual(['is missing']);
    expect(differences(wanted, table([second, first]))).toEqual([
      'chain c has 2 rules, 0 of the wanted 2 in their place',
    ]);
    expect(differences(wanted, table([first, { ...second, comment: 'y' }]))).toHaveLength(1);
    expect(differences(wanted, table([first, second, first]))).toHaveLength(1);
    expect(differences(wanted, table([first, second], { dormant: true, comment: 'z' }))).toEqual([
      'is dormant',
      'has another comment',
    ]);
    const extra = { ...wanted, chains: [...wanted.chains, { name: 'd', rules: [] }] };
    expect(differences(wanted, extra)).toEqual(['chain d does not belong there']);
    expect(differences(extra, wanted)).toEqual(['chain d is missing']);
  });
});

describe('comments', () => {
  const written = (text: string) => {
    const out = new ByteWriter();
    commentUserdata.write(out, text);
    return out.copy();
  };

  test('have up to 127 bytes', () => {
    expect(commentUserdata.read(written('a'.repeat(127)), AT)).toBe('a'.repeat(127));
    expect(() => written('a'.repeat(128))).toThrow('at most 127 bytes');
    expect(() => written('a\0b')).toThrow('without NUL');
  });

  test('are found behind entries of other kinds; damaged userdata has none', () => {
    expect(commentUserdata.read(Uint8Array.of(1, 2, 9, 9, 0, 3, 0x68, 0x69, 0), AT)).toBe('hi');
    for (const bytes of [[], [0], [0, 9, 1], [7, 255]]) {
      expect(commentUserdata.read(Uint8Array.from(bytes), AT)).toBe('');
    }
  });
});

describe('builder', () => {
  test('compares whole bytes of a prefix directly and others through a mask', () => {
    const kinds = (text: string) => nft.saddr('==', Cidr.parse(text)).map(({ kind }) => kind);
    expect(kinds('10.0.0.0/8')).toEqual(['payload', 'cmp']);
    expect(kinds('10.0.0.0/9')).toEqual(['payload', 'bitwise', 'cmp']);
    expect(kinds('fd00::/56')).toEqual(['payload', 'cmp']);
  });

  test('leaves host bits out', () => {
    expect(nft.daddr('==', Cidr.parse('10.1.2.3/12'))).toEqual(nft.daddr('==', Cidr.parse('10.0.0.0/12')));
  });

  test('refuses what is no interface name', () => {
    for (const name of ['', 'sixteen-letters-', 'a\0']) expect(() => nft.iifname('==', name)).toThrow();
  });
});

test('notifications of other subsystems and of a transaction’s end touch nothing', () => {
  const message = (type: number) => ({ type, flags: 0, sequence: 0, payload: new Uint8Array(4) });
  for (const type of [0x0100, 0x0a0f, 0x0a11, 3]) expect(touchedTable(message(type))).toBeUndefined();
});
