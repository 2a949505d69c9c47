import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { nodeExecutable } from '../../scripts/node/build.mjs';
import { emulated, MACHINES } from './emulated.ts';

const SOURCE = `${import.meta.dir}/ffi-contract.ts`;
const folder = mkdtempSync(`${tmpdir()}/flannel-contract-`);
const bundle = `${folder}/contract.mjs`;
let bun = '';

/** What the contract program prints when `argv` runs it. */
async function output(argv: readonly string[], env: Record<string, string> = {}): Promise<string> {
  const work = mkdtempSync(`${folder}/run-`);
  const child = Bun.spawn([...argv, work, '300'], {
    env: { PATH: '/usr/bin:/bin', ...env },
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  expect([code, stderr]).toEqual([0, '']);
  return stdout;
}

beforeAll(async () => {
  const made = Bun.spawnSync([
    process.execPath,
    `${import.meta.dir}/../../scripts/node/bundle.ts`,
    bundle,
    SOURCE,
  ]);
  expect([made.exitCode, made.stderr.toString()]).toEqual([0, '']);
  bun = await output([process.execPath, SOURCE]);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('Bun does what is expected of it', () => {
  const lines = bun.split('\n');
  expect(lines).toContain('nothing there: throws open <folder>/b: no such file or object (ENOENT)');
  expect(lines).toContain('wrong errno: 0');
  expect(lines.length).toBeGreaterThan(45);
});

test('Node on this machine does the same', async () => {
  const argv = [nodeExecutable('amd64'), '--disable-warning=ExperimentalWarning', bundle];
  expect(await output(argv)).toBe(bun);
});

for (const machine of MACHINES) {
  test(`Node on ${machine.node} does the same`, async () => {
    const { argv, env } = emulated(machine, folder);
    expect(await output([...argv, bundle], env)).toBe(bun);
  });
}
