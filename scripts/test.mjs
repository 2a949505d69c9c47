// `npm test`: everything, from a fresh clone: what is missing is installed, then check, build, tests with a kernel.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { bunPath, root } from './bun.mjs';
import { ensureBuild, ensureModules, ensurePackages, TEST_PACKAGES } from './ensure.mjs';

const SUITES = ['contract', 'netns', 'kube', 'compat', 'fuzz', 'agent', 'e2e'];

function step(name, command, args) {
  const start = Date.now();
  console.log(`== ${name}`);
  const done = spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'], cwd: root });
  console.log(
    `== ${name}: ${done.status === 0 ? 'ok' : 'FAILED'} (${((Date.now() - start) / 1000).toFixed(1)} s)`,
  );
  return done.status === 0;
}

/** Totals of a JUnit file: the text of a test runner is for people. */
function totals(file) {
  const xml = readFileSync(file, 'utf8');
  const head = /<testsuites [^>]*>/.exec(xml)?.[0] ?? '';
  const number = (name) => Number(new RegExp(` ${name}="(\\d+)"`).exec(head)?.[1] ?? 0);
  return {
    tests: number('tests'),
    failed: number('failures') + number('errors'),
    skipped: number('skipped'),
  };
}

function suite(name, sum) {
  const report = `${root}dist/test/${name.replaceAll('/', '-')}.xml`;
  rmSync(report, { force: true });
  const args = [
    'test',
    `./test/${name}`,
    '--timeout=120000',
    '--reporter=junit',
    `--reporter-outfile=${report}`,
  ];
  const ok = step(`test/${name}`, 'timeout', ['--kill-after=10', '1200', bunPath(), ...args]);
  try {
    const found = totals(report);
    sum.passed += found.tests - found.failed - found.skipped;
    sum.failed += found.failed;
    sum.skipped += found.skipped;
    if (found.tests === 0) throw new Error('no tests');
  } catch {
    console.error(`test/${name} left no result: it crashed, hung or holds no test`);
    sum.failed += 1;
    return false;
  }
  if (!ok && sum.failed === 0) sum.failed += 1;
  return ok;
}

async function main() {
  if (!ensureModules()) return 1;
  if (process.getuid() !== 0) {
    console.error('npm test needs root for network namespaces; `npm run check` does not');
    return 1;
  }
  if (!ensurePackages(TEST_PACKAGES)) return 1;
  if (!step('check', process.execPath, [`${root}scripts/check.mjs`])) return 1;
  if (!(await ensureBuild())) return 1;
  mkdirSync(`${root}dist/test`, { recursive: true });
  const sum = { passed: 0, failed: 0, skipped: 0 };
  for (const name of SUITES) suite(name, sum);
  console.log(`\n${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`);
  return sum.failed === 0 ? 0 : 1;
}

process.exitCode = await main();
