// `npm run check`: everything that needs neither root nor a build, in under a minute.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { bunPath, root } from './bun.mjs';
import { ensureModules } from './ensure.mjs';

if (!ensureModules()) process.exit(1);

const sources = (dir) =>
  readdirSync(`${root}${dir}`, { recursive: true }).filter((f) => /\.(ts|mjs)$/.test(f)).length;

const tool = (name, file) => [bunPath(), '--bun', `${root}node_modules/${name}/${file}`];
const steps = [
  ['format', [bunPath(), 'fmt', '--no-script', '--check', 'src', 'test', 'scripts']],
  ['lint', [...tool('oxlint', 'bin/oxlint'), '--deny-warnings', 'src', 'test', 'scripts']],
  ['types', [...tool('typescript', 'bin/tsc'), '-p', '.']],
  // For browsers: the only sources that know of documents and windows.
  ['types of the page', [...tool('typescript', 'bin/tsc'), '-p', 'src/page/client']],
  ['dead code', [...tool('knip', 'bin/knip.js'), '--no-progress', '--treat-config-hints-as-errors']],
  // They take milliseconds; the limit is for a machine that is busy with something else.
  ['unit tests', [bunPath(), 'test', '--parallel', '--timeout=60000', './src']],
];

// "0 files checked" must not be green.
for (const dir of ['src', 'test', 'scripts']) {
  if (sources(dir) === 0) {
    console.error(`check: no source files under ${dir}/: this checkout is damaged`);
    process.exit(1);
  }
}
let failed = 0;
for (const [name, [command, ...args]] of steps) {
  const start = Date.now();
  const done = spawnSync(command, args, { cwd: root, encoding: 'utf8', maxBuffer: 64 << 20 });
  const ok = done.status === 0;
  const counted = /Ran \d+ tests.*/.exec(done.stderr ?? '')?.[0] ?? '';
  console.log(`${ok ? 'ok  ' : 'FAIL'} ${name} (${((Date.now() - start) / 1000).toFixed(1)} s) ${counted}`);
  if (!ok) {
    failed += 1;
    console.log(done.error ? String(done.error) : `${done.stdout}${done.stderr}`);
  }
}
process.exitCode = failed === 0 ? 0 : 1;
