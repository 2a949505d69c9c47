import { expect, test } from 'bun:test';
import { table, width } from './table.ts';

test('columns are as wide as their widest cell and lines end without blanks', () => {
  const lines = table(
    [{ title: 'node' }, { title: 'peers', align: 'right' }, { title: 'pods' }],
    [
      ['n1', '2', 'n1-a'],
      ['node-two', '12', ''],
    ],
  );
  expect(lines).toEqual(['node      peers  pods', 'n1            2  n1-a', 'node-two     12']);
});

test('colours take no room and a cell may have several lines', () => {
  expect(width('\u001B[32mok\u001B[0m')).toBe(2);
  expect(table([{ title: 'a' }, { title: 'b' }], [['\u001B[32mok\u001B[0m', 'x\ny']])).toEqual([
    'a   b',
    '\u001B[32mok\u001B[0m  x',
    '    y',
  ]);
});
