import { expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { FlannelError } from '#base/errors.ts';
import type { Environment } from './environment.ts';
import { CniError, CODE } from './error.ts';
import type { JsonObject } from './json.ts';
import type { Host, Plugin } from './plugin.ts';
import { EMPTY_RESULT } from './result.ts';
import { runPlugin } from './skeleton.ts';

const GOOD: Environment = {
  CNI_COMMAND: 'ADD',
  CNI_CONTAINERID: 'pod1',
  CNI_NETNS: '/nowhere/pod1',
  CNI_IFNAME: 'eth0',
  CNI_PATH: '/opt/cni/bin:/usr/lib/cni',
};

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly calls: readonly string[];
}

async function call(env: Environment, stdin: string, failure?: Error): Promise<Outcome> {
  const calls: string[] = [];
  let stdout = '';
  let stderr = '';
  const verb = (name: string) => () => {
    calls.push(name);
    if (failure !== undefined) throw failure;
  };
  const plugin: Plugin = {
    add: () => {
      verb('add')();
      return EMPTY_RESULT;
    },
    del: verb('del'),
    check: verb('check'),
    gc: verb('gc'),
    status: verb('status'),
  };
  const host: Host = {
    env,
    wallClock: () => 0,
    now: () => 0,
    sleep: () => {},
    random: (count) => new Uint8Array(count),
    untilExit: (resource) => resource,
    bootId: () => 'boot',
    warn: (line) => (stderr += `${line}\n`),
  };
  const writeStdout = (text: string) => (stdout += text);
  const code = await runPlugin('bridge', async () => plugin, { readStdin: () => stdin, writeStdout, host });
  return { code, stdout, stderr, calls };
}

function conf(extra: JsonObject = {}): string {
  return JSON.stringify({ cniVersion: '1.1.0', name: 'net', type: 'bridge', ...extra });
}

function errorOf({ stdout }: Outcome) {
  return JSON.parse(stdout) as { code: number; msg: string; details?: string; cniVersion: string };
}

test('each verb reaches the plugin, and only ADD and VERSION print', async () => {
  for (const [command, name] of Object.entries({
    ADD: 'add',
    DEL: 'del',
    CHECK: 'check',
    GC: 'gc',
    STATUS: 'status',
  })) {
    const done = await call({ ...GOOD, CNI_COMMAND: command }, conf());
    expect([done.code, done.calls]).toEqual([0, [name]]);
    expect(done.stdout).toBe(command === 'ADD' ? '{\n    "cniVersion": "1.1.0"\n}' : '');
  }
});

test('run by hand, it says what it is and which versions it speaks, on standard error', async () => {
  const done = await call({}, '');
  expect([done.code, done.stdout]).toEqual([0, '']);
  expect(done.stderr).toContain('CNI_COMMAND');
  expect(done.stderr).toContain('0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0');
});

const without = (key: string): Environment => ({ ...GOOD, [key]: undefined });

/** Codes as the original gives them; see test/fixtures/cni/errors.txt. */
const REFUSED: readonly [string, Environment, string, number, RegExp][] = [
  ['unknown command', { ...GOOD, CNI_COMMAND: 'FOO' }, conf(), 4, /unknown CNI_COMMAND: FOO/],
  ['no container', without('CNI_CONTAINERID'), conf(), 4, /\[CNI_CONTAINERID\] missing/],
  ['no namespace for ADD', without('CNI_NETNS'), conf(), 4, /\[CNI_NETNS\] missing/],
  ['container with a slash', { ...GOOD, CNI_CONTAINERID: '../x' }, conf(), 4, /containerID/],
  ['long interface', { ...GOOD, CNI_IFNAME: 'a'.repeat(16) }, conf(), 4, /CNI_IFNAME/],
  ['interface with a slash', { ...GOOD, CNI_IFNAME: 'a/b' }, conf(), 4, /CNI_IFNAME/],
  ['CNI_ARGS', { ...GOOD, CNI_ARGS: 'novalue' }, conf(), 4, /CNI_ARGS/],
  ['empty input', GOOD, '', 6, /is not JSON/],
  ['a list', GOOD, '[]', 6, /not a JSON object/],
  ['unknown version', GOOD, conf({ cniVersion: '9.9.9' }), 1, /incompatible CNI versions/],
  ['no name', GOOD, conf({ name: undefined }), 7, /missing network name/],
  ['bad name', GOOD, conf({ name: '../net' }), 7, /invalid characters/],
  [
    'CHECK too early',
    { ...GOOD, CNI_COMMAND: 'CHECK' },
    conf({ cniVersion: '0.3.1' }),
    1,
    /does not allow CHECK/,
  ],
  ['GC too early', { ...GOOD, CNI_COMMAND: 'GC' }, conf({ cniVersion: '1.0.0' }), 1, /does not allow GC/],
  ['own namespace', { ...GOOD, CNI_NETNS: '/proc/self/ns/net' }, conf(), 8, /should not be the same/],
];

for (const [what, env, stdin, code, message] of REFUSED) {
  test(`refused before the plugin sees it: ${what}`, async () => {
    const done = await call(env, stdin);
    expect([done.code, done.calls]).toEqual([1, []]);
    expect(errorOf(done).code).toBe(code);
    expect(errorOf(done).msg).toMatch(message);
  });
}

test('DEL needs no namespace, VERSION needs nothing', async () => {
  expect((await call({ ...without('CNI_NETNS'), CNI_COMMAND: 'DEL' }, conf())).calls).toEqual(['del']);
  expect((await call({ CNI_COMMAND: 'VERSION' }, '')).stdout).toContain('"supportedVersions"');
});

test('CNI_ARGS of other plugins are no business of this one; a damaged pair does not stop DEL', async () => {
  for (const args of ['IgnoreUnknown=1;K8S_POD_NAME=a;K8S_POD_UID=', 'FOO=bar;IgnoreUnknown=0', ';A=b=c;'])
    expect((await call({ ...GOOD, CNI_ARGS: args }, conf())).calls).toEqual(['add']);
  for (const command of ['DEL', 'GC', 'STATUS']) {
    const done = await call({ ...GOOD, CNI_COMMAND: command, CNI_ARGS: 'novalue;=x;A=b' }, conf());
    expect([command, done.code]).toEqual([command, 0]);
  }
});

test('the longest names that are allowed, and one more', async () => {
  const names: [string, string, string][] = [
    ['CNI_IFNAME', 'a'.repeat(15), 'a'.repeat(16)],
    ['CNI_IFNAME', 'ü'.repeat(7), 'ü'.repeat(8)],
    ['CNI_CONTAINERID', 'a'.repeat(255), 'a'.repeat(256)],
    ['CNI_CONTAINERID', '0_.-', '_0.-'],
  ];
  for (const [key, good, bad] of names) {
    expect((await call({ ...GOOD, [key]: good }, conf())).calls).toEqual(['add']);
    expect(errorOf(await call({ ...GOOD, [key]: bad }, conf())).code).toBe(4);
  }
  expect((await call(GOOD, conf({ name: 'n'.repeat(255) }))).calls).toEqual(['add']);
  expect(errorOf(await call(GOOD, conf({ name: 'n'.repeat(256) }))).code).toBe(7);
});

test('every version is answered in its own words, by an error too', async () => {
  for (const cniVersion of ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0']) {
    const done = await call(GOOD, conf({ cniVersion }));
    expect((JSON.parse(done.stdout) as { cniVersion: string }).cniVersion).toBe(cniVersion);
    const failed = await call(GOOD, conf({ cniVersion }), new CniError(CODE.IO_FAILURE, 'disk'));
    expect(errorOf(failed)).toEqual({ cniVersion, code: 5, msg: 'disk' });
  }
  expect(errorOf(await call(GOOD, conf({ cniVersion: undefined }), new Error('x'))).cniVersion).toBe('0.1.0');
});

test('errors carry code, words, cure and the version of the configuration', async () => {
  const error = new CniError(CODE.TRY_AGAIN_LATER, 'not yet', { details: 'wait', cause: new Error('why') });
  const done = await call(GOOD, conf({ cniVersion: '0.3.1' }), error);
  expect(errorOf(done)).toEqual({ cniVersion: '0.3.1', code: 11, msg: 'not yet: why', details: 'wait' });
  expect(done.stderr).toBe('');
});

test('a fault of ours says so with its stack on standard error, not on standard output', async () => {
  const done = await call(GOOD, conf(), new TypeError('x is undefined'));
  expect(errorOf(done).code).toBe(999);
  expect(done.stdout).not.toContain('skeleton');
  expect(done.stderr).toContain('please report');
  const operator = await call(GOOD, conf(), new FlannelError('operator', 'no such thing'));
  expect([errorOf(operator).code, operator.stderr]).toEqual([7, '']);
});

test('no input makes it print anything but one JSON object', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.string(),
        fc.json(),
        fc.jsonValue().map((value) => conf({ prevResult: value, name: value })),
      ),
      fc.dictionary(fc.constantFrom(...Object.keys(GOOD), 'CNI_ARGS'), fc.string()),
      async (stdin, env) => {
        const done = await call({ ...GOOD, ...env }, stdin);
        if (done.stdout !== '') JSON.parse(done.stdout);
        if (done.code !== 0) expect(errorOf(done).code).toBeGreaterThan(0);
      },
    ),
    { numRuns: 500 },
  );
});
