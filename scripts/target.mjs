// The machines that an executable can be built for, and the Bun executable that it is built from.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { root } from './bun.mjs';

/** By the name that Debian and OCI images have for it: Bun's own name and Node's. */
export const ARCHITECTURES = {
  amd64: { bun: 'x64', node: 'x64' },
  arm64: { bun: 'aarch64', node: 'arm64' },
};

/** Undefined where Bun does not run. */
export const HOST_ARCH = Object.keys(ARCHITECTURES).find((arch) => ARCHITECTURES[arch].node === process.arch);

/** The folder of the executables of an architecture. */
export function binFolder(arch) {
  return arch === HOST_ARCH ? `${root}dist/bin` : `${root}dist/bin-${arch}`;
}

/**
 * Arguments that make `bun build --compile` write for `arch`. The Bun of another architecture is an npm package of the same
 * version; it is fetched once, and must be what package-lock.json names.
 */
export function targetArguments(arch) {
  if (arch === HOST_ARCH) return [];
  const { bun } = ARCHITECTURES[arch];
  return [
    `--target=bun-linux-${arch === 'amd64' ? 'x64' : arch}`,
    `--compile-executable-path=${fetchBun(bun)}`,
  ];
}

function fetchBun(cpu) {
  const name = `@oven/bun-linux-${cpu}`;
  const lock = JSON.parse(readFileSync(`${root}package-lock.json`, 'utf8'));
  const { version, integrity } = lock.packages[`node_modules/${name}`];
  return fetchExecutable({ name, version, integrity, file: 'bin/bun' });
}

/** The executable `file` of an npm package, fetched once into dist/cache. Throws when it is not what `integrity` says. */
export function fetchExecutable({ name, version, integrity, file }) {
  const cache = `${root}dist/cache`;
  const kept = `${cache}/${name.replace(/^@.*\//, '')}-${version}`;
  if (existsSync(kept)) return kept;
  mkdirSync(cache, { recursive: true });
  const staging = mkdtempSync(`${cache}/.fetch-`);
  try {
    const spec = `${name}@${version}`;
    const archive = must('npm', ['pack', spec, '--silent', `--pack-destination=${staging}`], staging).trim();
    const path = `${staging}/${archive}`;
    const digest = `sha512-${createHash('sha512').update(readFileSync(path)).digest('base64')}`;
    if (digest !== integrity) throw new Error(`${spec} is not what is pinned here, but ${digest}`);
    must('tar', ['-xzf', path, '-C', staging, `package/${file}`], staging);
    renameSync(`${staging}/package/${file}`, kept);
    return kept;
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

function must(command, args, cwd) {
  const done = spawnSync(command, args, { cwd, encoding: 'utf8' });
  if (done.error) throw done.error;
  if (done.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${done.stderr}`);
  return done.stdout;
}
