// Writes archives and packages from built executables; `npm run package` (scripts/package.mjs) builds them and calls this.
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { VERSION } from '#base/version.ts';
import { sha256 } from '../image/run.ts';
import { readSource, type Source } from '../image/source.ts';
import { systemdArchive } from './archive.ts';
import { debianPackage, debianVersion } from './debian-package.ts';
import { provenance } from './provenance.ts';

const root = new URL('../..', import.meta.url).pathname;

/** The npm package with the Bun of an architecture. */
const BUN: Readonly<Record<string, string>> = {
  amd64: '@oven/bun-linux-x64',
  arm64: '@oven/bun-linux-aarch64',
};

function runtimeOf(architecture: string): { name: string; version: string; integrity: string } {
  const lock = JSON.parse(readFileSync(`${root}package-lock.json`, 'utf8')) as {
    packages: Record<string, { version: string; integrity: string } | undefined>;
  };
  const name = BUN[architecture] ?? '';
  const entry = lock.packages[`node_modules/${name}`];
  if (entry === undefined) throw new Error(`package-lock.json names no Bun for ${architecture}`);
  return { name, version: entry.version, integrity: entry.integrity };
}

/** Writes whole files only: a reader never sees half an archive. */
function write(path: string, bytes: Uint8Array | string): void {
  writeFileSync(`${path}.new`, bytes);
  renameSync(`${path}.new`, path);
}

function statement(files: ReadonlyMap<string, Uint8Array>, source: Source, architectures: string[]): string {
  return provenance({
    script: 'package',
    version: VERSION,
    files: new Map([...files].map(([name, bytes]) => [name, sha256(bytes)])),
    revision: source.revision,
    lockfile: sha256(`${root}package-lock.json`),
    runtimes: architectures.map(runtimeOf),
    architectures,
    command: `npm ci --ignore-scripts && npm run package -- --arch ${architectures.join(',')}`,
    time: source.time,
  });
}

function main(): void {
  const { values } = parseArgs({
    options: {
      bin: { type: 'string', multiple: true, default: [] },
      out: { type: 'string', default: `${root}dist/package` },
    },
  });
  const start = Date.now();
  const source = readSource();
  const files = new Map<string, Uint8Array>();
  const architectures: string[] = [];
  for (const pair of values.bin) {
    const [architecture = '', folder = ''] = pair.split('=');
    const executable = readFileSync(`${folder}/flannel`);
    const contents = { version: VERSION, architecture, time: source.time, executable };
    files.set(`flannel-${VERSION}-linux-${architecture}.tar.gz`, systemdArchive(contents));
    files.set(`flannel_${debianVersion(VERSION)}_${architecture}.deb`, debianPackage(contents));
    architectures.push(architecture);
  }
  const name = `flannel-${VERSION}-packages.intoto.json`;
  files.set(name, new TextEncoder().encode(statement(files, source, architectures)));
  mkdirSync(values.out, { recursive: true });
  for (const [file, bytes] of files) write(`${values.out}/${file}`, bytes);
  const sums = [...files]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([file, bytes]) => `${sha256(bytes)}  ${file}\n`);
  write(`${values.out}/SHA256SUMS`, sums.join(''));
  console.log(`wrote ${values.out} (${Date.now() - start} ms)`);
  for (const [file, bytes] of files)
    console.log(`  ${(bytes.length / 1e6).toFixed(2).padStart(6)} MB  ${file}`);
  if (source.revision?.endsWith('-modified') === true)
    console.log('  files differ from the commit: nothing to publish');
}

try {
  main();
} catch (error) {
  console.error(`package: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
