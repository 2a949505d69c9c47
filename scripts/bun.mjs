// Runs the pinned Bun: `node scripts/bun.mjs <bun arguments>`.
//
// The npm package `bun` links its executable in a postinstall script. Where npm refuses install scripts the link is
// missing, but the executable itself came along as the platform package `@oven/bun-<os>-<cpu>`: use that directly.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));

/** Absolute path of the pinned Bun executable. Throws when `npm ci` has not run. */
export function bunPath() {
  const cpu = { x64: 'x64', arm64: 'aarch64' }[process.arch] ?? process.arch;
  for (const libc of ['', '-musl']) {
    const path = `${root}node_modules/@oven/bun-${process.platform}-${cpu}${libc}/bin/bun`;
    if (existsSync(path)) return path;
  }
  throw new Error(`Bun is not installed for ${process.platform}-${cpu}: run \`npm ci\` first`);
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
