import { describe, expect, test } from 'bun:test';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dir, '../..');
const page = readFileSync(join(root, 'docs/promises.md'), 'utf8');

interface Row {
  readonly promise: string;
  /** Cells of the row, without the outer bars. */
  readonly cells: readonly string[];
}

function rows(): Row[] {
  const lines = page.split('\n').filter((line) => /^\| (?!what)/.test(line));
  return lines.map((line) => {
    const cells = line.slice(1, -1).split(' | ');
    return { promise: (cells[0] ?? '').trim(), cells };
  });
}

interface Named {
  readonly file: string;
  readonly name: string;
}

/** `file`: name; name<br>`file`: name. A name may hold semicolons: what follows one and is no test belongs to it. */
function named(cell: string): Named[] {
  return cell.split('<br>').flatMap((part) => {
    const [, file = '', names = ''] = /^\s*`([^`]+)`: (.+?)\s*$/.exec(part) ?? [];
    if (file === '') throw new Error(`not of the form "\`file\`: name": ${part}`);
    return splitNames(names, titles(file)).map((name) => ({ file, name }));
  });
}

/** Texts in quotes: what tests, blocks and cases are called. */
function titles(file: string): readonly string[] {
  const path = join(root, file);
  if (!existsSync(path)) throw new Error(`there is no ${file}`);
  const text = readFileSync(path, 'utf8');
  return [...text.matchAll(/(['`"])((?:(?!\1)[^\n\\]|\\.)*)\1/g)].map(([, , title = '']) => title);
}

function splitNames(text: string, known: readonly string[]): string[] {
  const names: string[] = [];
  let open = '';
  for (const part of text.split('; ')) {
    open = open === '' ? part : `${open}; ${part}`;
    if (!known.some((title) => title.startsWith(open))) throw new Error(`no test is called "${open}"`);
    if (known.includes(open)) {
      names.push(open);
      open = '';
    }
  }
  if (open !== '') throw new Error(`no test is called "${open}"`);
  return names;
}

describe('the promises', () => {
  test('every line of the four tables is there', () => {
    const headings = [...page.matchAll(/^## (.+)$/gm)].map(([, heading]) => heading);
    expect(headings).toEqual(['Starting', 'Running', 'Pods', 'Seeing']);
    expect(rows().length).toBeGreaterThan(40);
    for (const { promise, cells } of rows()) expect([promise, cells.length]).toEqual([promise, 3]);
  });

  test.each(rows())('$promise: the tests that break it are there', ({ cells }) => {
    expect(named(cells[2] ?? '').length).toBeGreaterThan(0);
  });
});
