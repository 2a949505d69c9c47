import { expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { VERSION } from '#base/version.ts';

const root = join(import.meta.dir, '../..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');

test('package.json is where the version stands', () => {
  expect(VERSION).toBe((JSON.parse(read('package.json')) as { version: string }).version);
  expect(VERSION).toMatch(/^\d+\.\d+\.\d+$/);
});

test('no source has it a second time', () => {
  const sources = ['src', 'scripts'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) => `${folder}/${name}`),
  );
  const code = sources.filter((name) => /(?<!\.test)\.(?:ts|mjs)$/.test(name));
  // CNI's own 0.1.0 stands there, and has nothing to do with it.
  const own = new RegExp(`\\bv${VERSION.replaceAll('.', '\\.')}\\b|\\bVERSION(?:: string)? = '`);
  expect(code.length).toBeGreaterThan(100);
  expect(code.filter((name) => own.test(read(name)))).toEqual([]);
});

/** Files of other formats have to repeat it. */
const REPEATED: readonly (readonly [string, RegExp])[] = [
  ['package-lock.json', /^ {2}"version": "([^"]+)"/gm],
  ['package-lock.json', /^ {6}"name": "flannel",\n {6}"version": "([^"]+)"/gm],
  ['packaging/helm/flannel/Chart.yaml', /^(?:version: |appVersion: v)(\S+)$/gm],
  ['packaging/kubernetes/kube-flannel.yml', /image: localhost\/flannel:v(\S+)$/gm],
  ['docs/install.md', /flannel-v(\d\S*?)-image\.tar/g],
  ['docs/install.md', /localhost\/flannel:v(\d+\.\d+\.\d+)/g],
  ['docs/install.md', /\bflannel[-_](\d+\.\d+\.\d+)/g],
];

test.each(REPEATED)('%s has this version: %p', (path, pattern) => {
  const found = [...read(path).matchAll(pattern)].map(([, version]) => version);
  expect(found).not.toEqual([]);
  expect([...new Set(found)]).toEqual([VERSION]);
});
