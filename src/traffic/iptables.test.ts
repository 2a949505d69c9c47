import { describe, expect, test } from 'bun:test';
import { cureOf, FlannelError } from '#base/errors.ts';
import { Cidr } from '#net/cidr.ts';
import { childEnvironment, programRunner, type ProgramResult, type RunProgram } from './exec.ts';
import { IptablesTraffic } from './iptables.ts';
import { isSince162 } from './iptables-tool.ts';
import { parseSave } from './iptables-save.ts';
import { trafficRules } from './rules.ts';

const rules = trafficRules({
  families: [{ network: [Cidr.parse('10.244.0.0/16')], subnet: Cidr.parse('10.244.1.0/24') }],
  ipMasq: true,
  forward: true,
  randomFully: true,
});

interface Call {
  readonly argv: readonly string[];
  readonly stdin: string | undefined;
}

/** What a promise rejects with. */
async function failure(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('it did not fail');
}

/** A host whose programs answer with canned results; an absent name is a missing program. */
function host(answers: Readonly<Record<string, Partial<ProgramResult>>>): { run: RunProgram; calls: Call[] } {
  const calls: Call[] = [];
  return {
    calls,
    async run(argv, call = {}) {
      calls.push({ argv, stdin: call.stdin });
      const answer = answers[argv[0]];
      return answer === undefined ? undefined : { code: 0, stdout: '', stderr: '', ...answer };
    },
  };
}

const MODERN = {
  iptables: { stdout: 'iptables v1.8.9 (nf_tables)\n' },
  'iptables-save': {},
  'iptables-restore': {},
};

describe('iptables', () => {
  test('one restore holds both tables, waits for the lock and names no chain of others', async () => {
    const { run, calls } = host(MODERN);
    await new IptablesTraffic(run).ensure(rules);
    const restore = calls.find(({ argv }) => argv[0] === 'iptables-restore');
    expect(restore?.argv).toEqual(['iptables-restore', '--noflush', '-w', '5']);
    const named = restore?.stdin?.split('\n').filter((line) => /^[:*]/.test(line));
    expect(named).toEqual(['*nat', ':FLANNEL-POSTRTG - [0:0]', '*filter', ':FLANNEL-FWD - [0:0]']);
  });

  test('an iptables before 1.6.2 gets neither -w nor --random-fully', async () => {
    const { run, calls } = host({ ...MODERN, iptables: { stdout: 'iptables v1.6.1' } });
    await new IptablesTraffic(run).ensure(rules);
    const restore = calls.find(({ argv }) => argv[0] === 'iptables-restore');
    expect(restore?.argv).toEqual(['iptables-restore', '--noflush']);
    expect(restore?.stdin).not.toContain('random');
  });

  test('a missing program is the operator’s to mend, and nothing to clear', async () => {
    const traffic = new IptablesTraffic(host({}).run);
    const error = await failure(traffic.ensure(rules));
    expect(error).toBeInstanceOf(FlannelError);
    expect(String(error)).toContain('iptables-save is not in PATH');
    expect(cureOf(error)).toContain('install iptables');
    expect(await traffic.clear()).toEqual({ removed: [] });
  });

  test('a failing program is quoted', async () => {
    const { run } = host({ ...MODERN, 'iptables-restore': { code: 2, stderr: 'line 3\n failed\n' } });
    expect(String(await failure(new IptablesTraffic(run).ensure(rules)))).toContain(
      'iptables-restore failed with exit code 2: line 3; failed',
    );
  });

  test('a family that is off is looked through once, and what an earlier run left there is removed', async () => {
    const left =
      '*filter\n:FLANNEL-FWD - [0:0]\n-A FORWARD -j FLANNEL-FWD\n-A FLANNEL-FWD -j ACCEPT\nCOMMIT\n';
    const { run, calls } = host({ ...MODERN, 'ip6tables-save': { stdout: left }, 'ip6tables-restore': {} });
    const traffic = new IptablesTraffic(run);
    expect((await traffic.ensure(rules)).repaired).toContain('ip6tables filter FLANNEL-FWD');
    await traffic.ensure(rules);
    const touched = calls.filter(({ argv }) => /^ip6tables-(save|restore)$/.test(argv[0] ?? ''));
    expect(touched.map(({ argv }) => argv[0])).toEqual(['ip6tables-save', 'ip6tables-restore']);
    expect(touched[1]?.stdin).toBe(
      '*filter\n-D FORWARD -j FLANNEL-FWD\n-F FLANNEL-FWD\n-X FLANNEL-FWD\nCOMMIT\n',
    );
  });

  test('a family that is off and whose program fails does not stop the other', async () => {
    const { run } = host({ ...MODERN, 'ip6tables-save': { code: 1, stderr: 'no IPv6 here' } });
    expect((await new IptablesTraffic(run).ensure(rules)).changed).toBe(true);
  });

  test('versions', () => {
    for (const text of ['iptables v1.6.2', 'iptables v1.8.10 (legacy)', 'v2.0'])
      expect(isSince162(text)).toBe(true);
    for (const text of ['iptables v1.6.1', 'iptables v1.4.21', '', 'v1.6'])
      expect(isSince162(text)).toBe(false);
  });
});

describe('iptables-save', () => {
  test('is read by table and chain; rules stay text', () => {
    const tables = parseSave(
      '# c\n*nat\n:A ACCEPT [1:2]\n:B - [0:0]\n-A B -m comment --comment "x -A y" -j A\nCOMMIT\n*raw\n:A - [0:0]\n',
    );
    expect([...tables.keys()]).toEqual(['nat', 'raw']);
    expect(tables.get('nat')?.get('A')).toEqual([]);
    expect(tables.get('nat')?.get('B')).toEqual(['-m comment --comment "x -A y" -j A']);
  });
});

describe('programs', () => {
  const env = { PATH: '/usr/bin:/bin', BUN_BE_BUN: '1', HOME: '/root' };
  const run = programRunner({ env, timeoutMs: 30_000 });

  test('get no BUN_ variables', async () => {
    expect(childEnvironment({ BUN_X: '1', A: 'b' })).toEqual({ A: 'b' });
    const result = await run(['env']);
    expect(result?.stdout).toContain('HOME=/root');
    expect(result?.stdout).not.toContain('BUN_');
  });

  test('get standard input, and give back both outputs and the exit code', async () => {
    expect(await run(['cat'], { stdin: 'in' })).toEqual({ code: 0, stdout: 'in', stderr: '' });
    expect((await run(['cat', '/nowhere']))?.code).toBe(1);
    expect(await run(['no-such-program-here'])).toBeUndefined();
  });

  test('are killed at the time limit, and on abort', async () => {
    const impatient = programRunner({ env, timeoutMs: 300 });
    expect(String(await failure(impatient(['sleep', '5'])))).toContain('sleep did not end within 300 ms');
    const abort = new AbortController();
    setTimeout(() => abort.abort(new Error('stopping')), 20);
    expect(String(await failure(run(['sleep', '60'], { signal: abort.signal })))).toContain('stopping');
  });
});
