import { afterEach, expect, setDefaultTimeout, test } from 'bun:test';
import { existsSync, readFileSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { LAB, lab, outcomeOf, processesOf, ROOT, stateOf, type Outcome } from './lab-program.ts';
import { nameOfRun } from '../support/netns.ts';

setDefaultTimeout(300_000);

const NAME = nameOfRun('migrate');

afterEach(() => {
  lab('down', '--name', NAME);
});

function migrate(...args: readonly string[]): Outcome {
  return lab('migrate', '--name', NAME, ...args);
}

/** Columns of the table, a row for each step. */
function stepsOf(out: string): { node: string; changed: string; sent: number; lost: number }[] {
  return [...out.matchAll(/^(n\d|all) +\S.*? {2,}(nothing|\d+, see below) +(\d+) +(-?\d+)$/gm)].map(
    ([, node = '', changed = '', sent, lost]) => ({ node, changed, sent: Number(sent), lost: Number(lost) }),
  );
}

/** The table without its numbers: the guide shows one. */
function words(text: string): string[] {
  const lines = text.slice(text.indexOf('packets between all nodes')).split('\n');
  return lines
    .filter((line) => /^(?:packets|node|all|n\d|\d+ packets) /.test(line))
    .map((line) => line.replace(/(?: +\d+){2}$/, '').replace(/^\d+/, 'N'));
}

const CLUSTERS: readonly { readonly args: readonly string[]; readonly nodes: number }[] = [
  { args: ['--nodes', '3'], nodes: 3 },
  { args: ['--nodes', '2', '--nftables'], nodes: 2 },
  { args: ['--nodes', '2', '--backend', 'host-gw'], nodes: 2 },
];

test.each(CLUSTERS)(
  'a cluster of the original is taken over and given back without a loss: $args',
  ({ args, nodes }) => {
    const { code, out } = migrate(...args);
    const steps = stepsOf(out);
    // The start, two steps a node there and back, a check at each end.
    expect([out, steps.length]).toEqual([out, 3 + 4 * nodes]);
    if (steps.some(({ changed }) => changed !== 'nothing')) throw new Error(`something changed:\n${out}`);
    for (const { sent } of steps) expect(sent).toBeGreaterThan(100);
    const [, sent, lost] = /^(\d+) packets sent, (\d+) lost; 0 of \d+ steps failed$/m.exec(out) ?? [];
    if (lost !== '0') throw new Error(`a step has failed, or packets were lost:\n${out}`);
    expect(Number(sent)).toBeGreaterThan(100 * steps.length);
    expect(code).toBe(0);
    if (nodes === 3) expect(words(out)).toEqual(words(readFileSync(`${ROOT}docs/migrate.md`, 'utf8')));
    expect(processesOf(NAME)).toEqual([]);
    expect(existsSync(`/run/flannel-lab/${NAME}`)).toBe(false);
  },
);

/** Runs a command on the node as soon as the first agent runs. */
async function sabotage(argv: readonly string[]): Promise<Outcome> {
  const [program, ...rest] = [...LAB, 'migrate', '--name', NAME, '--nodes', '2'];
  const child = spawn(program, rest, { stdio: ['ignore', 'pipe', 'inherit'] });
  let out = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  while (!out.includes('our agent starts') && child.exitCode === null) await Bun.sleep(10);
  const { pid } = stateOf(NAME).nodes.find(({ name }) => name === 'n2') ?? { pid: 0 };
  const done = outcomeOf(['nsenter', `--net=/proc/${pid}/ns/net`, '--', ...argv]);
  expect([done.err, done.code]).toEqual(['', 0]);
  return { code: await ended, out, err: '' };
}

test('a loss is seen, and so is its cause', async () => {
  const { code, out } = await sabotage(['ip', 'route', 'delete', '10.244.1.0/24', 'dev', 'flannel.1']);
  expect(code).toBe(1);
  expect(out).toMatch(/deleted route 10\.244\.1\.0\/24/);
  expect(out).toMatch(
    /^\d+ packets sent, [1-9]\d* lost; [1-9]\d* of \d+ steps failed$|packets have stopped/m,
  );
});

test('a write that is taken back is seen', async () => {
  const { code, out } = await sabotage(['nft', 'add', 'rule', 'ip', 'nat', 'FLANNEL-POSTRTG', 'return']);
  expect(code).toBe(1);
  expect(out).toContain('rules of table ip nat written');
});
