import { describe, expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CHECKS } from '#cli/doctor/checks.ts';
import { WORDS } from '#cli/doctor/facts/options.ts';

const root = join(import.meta.dir, '../..');
const read = (page: string) => readFileSync(join(root, page), 'utf8');
const pages = ['.', 'docs'].flatMap((folder) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name)),
);

describe('the page of the doctor', () => {
  const text = read('docs/doctor.md');

  test('has every check with what it looks at, in their order, and no other', () => {
    const rows = [...text.slice(text.indexOf('## Checks')).matchAll(/^\| `([\w-]+)` \| ([^|]+) \|/gm)];
    expect(rows.map(([, id = '', title = '']) => [id, title])).toEqual(
      CHECKS.map(({ id, title }) => [id, title]),
    );
  });

  test('has every flag, and no other', () => {
    const table = /## Flags\n([\s\S]*?)\n## /.exec(text)?.[1] ?? '';
    const named = [...table.matchAll(/^\| ([^|]+) \|/gm)].flatMap(([, cell = '']) =>
      [...cell.matchAll(/`--?([a-z][\w-]*)`/g)].map(([, name = '']) => name),
    );
    expect(named.toSorted()).toEqual(Object.keys(WORDS).toSorted());
  });
});

test.each(pages)('%s names checks that there are', (page) => {
  const lists = [...read(page).matchAll(/flannelctl doctor --only ([\w,-]+)/g)].map(([, list = '']) => list);
  const ids = lists.flatMap((list) => list.split(','));
  expect(ids.filter((id) => !CHECKS.some((check) => check.id === id))).toEqual([]);
});
