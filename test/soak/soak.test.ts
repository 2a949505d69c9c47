import { expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const SOAK = ['node', fileURLToPath(new URL('../../scripts/soak.mjs', import.meta.url))] as const;

interface Outcome {
  readonly code: number | null;
  readonly out: string;
}

async function soak(...args: readonly string[]): Promise<Outcome> {
  const child = Bun.spawn([...SOAK, ...args], { stdout: 'pipe', stderr: 'inherit' });
  const out = await new Response(child.stdout).text();
  return { code: await child.exited, out };
}

/** Processes that carry the mark of a lab of this name. */
function marked(name: string): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, 'latin1').includes(
          `FLANNEL_LAB=/run/flannel-lab/${name}`,
        );
      } catch {
        return false;
      }
    });
}

test('two minutes of random faults: every one is healed in time, and nothing is lost that need not be', async () => {
  const { code, out } = await soak('--minutes', '2');
  const tail = out.trimEnd().split('\n').slice(-80).join('\n');
  if (code !== 0) throw new Error(`the soak ended with ${code}\n${tail}`);
  console.log(tail);
  expect(out).toContain('the overlay held');
}, 900_000);

test('both families at once, the rules in iptables', async () => {
  const { code, out } = await soak(
    '--minutes',
    '0.5',
    '--nodes',
    '3',
    '--families',
    'dual',
    '--traffic',
    'iptables',
  );
  if (code !== 0) throw new Error(`the soak ended with ${code}\n${out}`);
  expect(out).toContain('the overlay held');
}, 600_000);

test('every other backend, shortly and at the same time: routes by the external interface, peers off its link', async () => {
  const backends = ['vxlan-direct', 'host-gw'];
  const run = (backend: string) => soak('--minutes', '0.25', '--nodes', '3', '--backend', backend);
  const outcomes = await Promise.all(backends.map(run));
  for (const [at, { code, out }] of outcomes.entries()) {
    if (code !== 0) throw new Error(`the soak ended with ${code}\n${out}`);
    expect(out).toContain(`3 nodes, ${backends[at]}, ipv4`);
    expect(out).toMatch(/^[1-9]\d* rounds in /m);
    expect(out).toContain('the overlay held');
  }
}, 300_000);

test('an agent that does nothing is found, with the seed that finds it again', async () => {
  const { code, out } = await soak(
    '--minutes',
    '1',
    '--nodes',
    '2',
    '--faults',
    'routes-delete',
    '--sabotage',
    '--seed',
    '7',
  );
  expect(out).toContain('FAILED: not as planned');
  // What shows first depends on the node that is drawn.
  expect(out).toMatch(/ {2}n2: (missing: route|flanneld is not ready|1 of 2 agents watch)/);
  expect(out).toContain('log of flanneld on n2, its end:');
  expect(out).toContain('--seed 7');
  expect(code).toBe(1);
});

test('Ctrl-C ends it, and nothing of it stays', async () => {
  const child = Bun.spawn(['setsid', ...SOAK, '--minutes', '5', '--nodes', '2'], {
    stdout: 'pipe',
    stderr: 'inherit',
  });
  const before = marked('soak-').length;
  let out = '';
  for await (const chunk of child.stdout) {
    out += new TextDecoder().decode(chunk);
    if (!out.includes('nodes as planned') || child.killed) continue;
    expect(marked('soak-').length).toBeGreaterThan(before);
    process.kill(-child.pid, 'SIGINT');
  }
  expect(await child.exited).toBe(130);
  expect(marked('soak-').length).toBe(before);
});

test('a wrong option is named', async () => {
  expect(await soak('--faults', 'link-delte')).toEqual({
    code: 2,
    out: 'soak: --faults: there is no fault "link-delte"; did you mean link-delete?\n',
  });
  expect((await soak('--minutes', 'ten')).code).toBe(2);
});
