// Runs the pinned Bun: `node scripts/bun.mjs <bun arguments>`.
//
// Its executable comes as the platform package `@oven/bun-<os>-<cpu>`; the postinstall script of the npm package `bun` moves
// it to `bun/bin/bun.exe`. Where npm refuses install scripts it stays where it came: both places are looked at.
import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));

/** The placeholder script that stands at `bun/bin/bun.exe` before the postinstall script has run is far smaller. */
const SMALLEST = 1 << 20;

function isExecutable(path) {
  try {
    return statSync(path).size > SMALLEST;
  } catch {
    return false;
  }
}

/** Absolute path of the pinned Bun executable; undefined when it is not installed. */
export function findBun() {
  const cpu = { x64: 'x64', arm64: 'aarch64' }[process.arch] ?? process.arch;
  const platform = `${root}node_modules/@oven/bun-${process.platform}-${cpu}`;
  const places = [`${platform}/bin/bun`, `${platform}-musl/bin/bun`, `${root}node_modules/bun/bin/bun.exe`];
  return places.find(isExecutable);
}

/** As `findBun`; throws when it is not installed. */
export function bunPath() {
  const path = findBun();
  if (path === undefined) {
    throw new Error(`Bun is not installed for ${process.platform}-${process.arch}: run \`npm ci\` first`);
  }
  return path;
}

/** Runs Bun with inherited streams; returns its exit code (128 + signal when it was killed). */
export function bun(args, options = {}) {
  const done = spawnSync(bunPath(), args, { stdio: 'inherit', cwd: root, ...options });
  if (done.error) throw done.error;
  return done.status ?? 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    process.exitCode = bun(process.argv.slice(2));
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
