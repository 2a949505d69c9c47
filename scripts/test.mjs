// `npm test`: everything, from a fresh clone: what is missing is installed, then check, build, tests with a kernel.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { bunPath, root } from './bun.mjs';
import { ensureBuild, ensureModules, ensurePackages, TEST_PACKAGES } from './ensure.mjs';

const SUITES = [
  'contract',
  'netns',
  'doctor',
  'vm',
  'cri',
  'stress',
  'kube',
  'helm',
  'etcd',
  'compat',
  'monitoring',
  'package',
  'node',
  'agent',
  'page',
  'soak',
  'e2e',
];

/** What follows dies with the process that starts it (util-linux). */
const HELD = ['setpriv', '--pdeathsig', 'KILL', '--'];
/** The lab's folder (src/lab/state/paths.ts). */
const LABS = '/run/flannel-lab';

/** Where everything of this run goes that a test puts into a temporary folder. */
const RUN = `fltest-${process.pid}`;
const folder = join(tmpdir(), RUN);

/** Runs a step with its output passed through; returns whether it succeeded and what the kernel lacked. */
async function step(name, command, args) {
  const start = Date.now();
  console.log(`== ${name}`);
  const child = spawn(HELD[0], [...HELD.slice(1), command, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: root,
    env: { ...process.env, FLANNEL_TEST_RUN: String(process.pid), TMPDIR: folder },
  });
  let lacking = 0;
  const pass = async (from, to) => {
    for await (const line of createInterface({ input: from, crlfDelay: Infinity })) {
      if (line.startsWith('skipped: ')) lacking += 1;
      to.write(`${line}\n`);
    }
  };
  const [code] = await Promise.all([
    once(child, 'close'),
    pass(child.stdout, process.stdout),
    pass(child.stderr, process.stderr),
  ]);
  const ok = code[0] === 0;
  console.log(`== ${name}: ${ok ? 'ok' : 'FAILED'} (${((Date.now() - start) / 1000).toFixed(1)} s)`);
  return { ok, lacking };
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

async function suite(name, sum) {
  const report = `${root}dist/test/${name.replaceAll('/', '-')}.xml`;
  rmSync(report, { force: true });
  const args = [
    'test',
    `./test/${name}`,
    '--timeout=120000',
    '--reporter=junit',
    `--reporter-outfile=${report}`,
  ];
  // In this process's group, and with its death: a run that is killed does not go on behind one's back.
  const bounded = ['--foreground', '--kill-after=10', '3600', ...HELD, bunPath(), ...args];
  const { ok, lacking } = await step(`test/${name}`, 'timeout', bounded);
  try {
    const found = totals(report);
    sum.passed += found.tests - found.failed - found.skipped;
    sum.failed += found.failed;
    sum.skipped += found.skipped + lacking;
    if (found.tests === 0) throw new Error('no tests');
  } catch {
    console.error(`test/${name} left no result: it crashed, hung or holds no test`);
    sum.failed += 1;
    return false;
  }
  if (!ok && sum.failed === 0) sum.failed += 1;
  return ok;
}

/** Namespaces and files of runs that were killed: their names say whose they were. Their processes died with them. */
function sweep() {
  for (const name of readdirSync(tmpdir())) {
    const run = /^fltest-(\d+)$/.exec(name)?.[1];
    if (run === undefined || (run !== String(process.pid) && existsSync(`/proc/${run}`))) continue;
    console.log(`removing ${join(tmpdir(), name)} of a run that was killed`);
    rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
  if (!existsSync('/run/netns')) return;
  for (const name of readdirSync('/run/netns')) {
    const run = /-fltest(\d+)-[0-9a-f]{8}$/.exec(name)?.[1];
    if (run === undefined || existsSync(`/proc/${run}`)) continue;
    console.log(`removing namespace ${name} of a run that was killed`);
    spawnSync('ip', ['netns', 'delete', name], { stdio: 'inherit' });
  }
}

/** Labs of such runs: they live on without whoever started them. */
function sweepLabs() {
  if (!existsSync(LABS)) return;
  for (const name of readdirSync(LABS)) {
    const run = /-fltest(\d+)(-b)?$/.exec(name)?.[1];
    if (run === undefined || existsSync(`/proc/${run}`)) continue;
    console.log(`removing lab ${name} of a run that was killed`);
    spawnSync(`${root}dist/bin/flannelctl`, ['lab', 'down', '--name', name], { stdio: 'inherit' });
  }
}

async function main() {
  if (!ensureModules()) return 1;
  if (process.getuid() !== 0) {
    console.error('npm test needs root for network namespaces; `npm run check` does not');
    return 1;
  }
  if (!ensurePackages(TEST_PACKAGES)) return 1;
  sweep();
  // Ordinary users of the tests pass through it.
  mkdirSync(folder, { mode: 0o755 });
  try {
    return await all();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function all() {
  if (!(await step('check', process.execPath, [`${root}scripts/check.mjs`])).ok) return 1;
  if (!(await ensureBuild())) return 1;
  sweepLabs();
  mkdirSync(`${root}dist/test`, { recursive: true });
  const sum = { passed: 0, failed: 0, skipped: 0 };
  for (const name of SUITES) await suite(name, sum);
  console.log(`\n${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`);
  return sum.failed === 0 ? 0 : 1;
}

process.exitCode = await main();
