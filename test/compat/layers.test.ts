import { expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { join, normalize } from 'node:path';
import layers from '../../layers.json';
import { lintConfig } from '../../scripts/lint-config.mjs';

const root = join(import.meta.dir, '../..');
const table: Readonly<Record<string, readonly string[]>> = layers;

function sources(): string[] {
  const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' });
  return files.filter((file) => file.endsWith('.ts'));
}

/** The layer of a path below src; main.ts and main-node.ts are above all of them. */
function layerOf(path: string): string {
  return path.includes('/') ? path.slice(0, path.indexOf('/')) : path;
}

/** What a file imports, statically or dynamically, as paths below src; `bun:ffi` as it is. */
function imports(file: string): string[] {
  const text = readFileSync(join(root, 'src', file), 'utf8');
  const found = text.matchAll(/(?:from|import)\s*\(?\s*'([#.][^']+|bun:ffi)'/g);
  return [...found].map(([, name = '']) => {
    if (name.startsWith('#')) return name.slice(1);
    return name.startsWith('.') ? normalize(join(file, '..', name)) : name;
  });
}

test('the sources keep to the import table', () => {
  const wrong: string[] = [];
  let checked = 0;
  for (const file of sources()) {
    const layer = layerOf(file);
    if (layer === 'main.ts' || layer === 'main-node.ts') continue;
    expect(Object.keys(table)).toContain(layer);
    for (const target of imports(file)) {
      checked += 1;
      if (target === 'bun:ffi') {
        if (layer !== 'ffi') wrong.push(`${file}: bun:ffi`);
        continue;
      }
      // The version stands there alone.
      if (file === 'base/version.ts' && target === '../package.json') continue;
      const other = layerOf(target);
      if (other !== layer && table[layer]?.includes(other) !== true) wrong.push(`${file}: ${target}`);
    }
  }
  expect(wrong).toEqual([]);
  expect(checked).toBeGreaterThan(300);
});

test('the table only points down', () => {
  const order = Object.keys(table);
  for (const [layer, below] of Object.entries(table)) {
    for (const other of below) {
      expect(order).toContain(other);
      expect(table[other]).not.toContain(layer);
    }
  }
});

test('the lint configuration is the one that the table makes', () => {
  const written: unknown = JSON.parse(readFileSync(join(root, '.oxlintrc.json'), 'utf8'));
  expect(written).toEqual(JSON.parse(JSON.stringify(lintConfig())));
});
