import { afterEach, beforeAll, beforeEach, expect, test } from 'bun:test';
import { coverFolders, installNode, WORK } from '../support/cni-machine.ts';
import { callRaw, type RawCall, type TimedOutcome } from '../support/cni-raw.ts';
import { describeInNetns, must, NamedNetns, run } from '../support/netns.ts';

const PLUGINS = ['flannel', 'bridge', 'host-local', 'loopback', 'portmap'];
/** Codes of the specification, with 8 and 999 of libcni. */
const CODES = [1, 2, 3, 4, 5, 6, 7, 8, 11, 50, 51, 999];

/** Within that an error must be there, ms; a busy machine takes a second for 10 MB, something quadratic minutes. */
const LIMIT_MS = 6000;

const NASTY = [
  '../../../etc/cron.d/x',
  '/etc/passwd',
  '..',
  '.',
  '.boot',
  'a/b',
  'a\\b',
  'a b',
  'a\tb',
  'a\nb',
  'a\r\nb',
  'a\u0000b',
  'a\u001b[2Jb',
  'a\u007fb',
  'a\u0085b',
  '-rf',
  '--help',
  '$(touch /mnt/work/owned)',
  '`touch /mnt/work/owned`',
  ';touch /mnt/work/owned;',
  '%s%n%x',
  '{{.}}',
  '"',
  "'",
  '\u202Egnp.exe',
  'ü',
  '\uD800',
  'lo',
  'all',
  'x'.repeat(16),
  'x'.repeat(256),
  'x'.repeat(70_000),
];

function bridgeConfig(extra: object = {}): Record<string, unknown> {
  return {
    cniVersion: '1.0.0',
    name: 'cbr0',
    type: 'bridge',
    bridge: 'cni0',
    ipam: { type: 'host-local', dataDir: `${WORK}/networks`, subnet: '10.244.1.0/24' },
    ...extra,
  };
}

/** The specification's error object in words, soon, with exit code 1, and no word of the program's insides. */
function expectError(outcome: TimedOutcome, what: string): void {
  const shown = `${what.slice(0, 200)}: ${outcome.code} ${outcome.stdout.slice(0, 400)} ${outcome.stderr.slice(0, 400)}`;
  if (outcome.code !== 1) throw new Error(`not refused with exit code 1: ${shown}`);
  let error: { cniVersion?: unknown; code?: unknown; msg?: unknown };
  try {
    error = JSON.parse(outcome.stdout) as typeof error;
  } catch {
    throw new Error(`standard output is not JSON: ${shown}`);
  }
  const good =
    typeof error.cniVersion === 'string' &&
    CODES.includes(Number(error.code)) &&
    typeof error.msg === 'string' &&
    error.msg.length > 5 &&
    error.msg.length < 4096;
  if (!good) throw new Error(`not the specification's error: ${shown}`);
  if (/is not a function|undefined is not|cannot read|null is not|fault of the program/i.test(shown))
    throw new Error(`a fault of the program: ${shown}`);
  if (outcome.ms > LIMIT_MS) throw new Error(`took ${Math.round(outcome.ms)} ms: ${shown}`);
}

/** As `expectError`, but a call may as well succeed: then standard output is JSON or empty. */
function expectDecent(outcome: TimedOutcome, what: string): void {
  if (outcome.code !== 0) return expectError(outcome, what);
  if (outcome.stdout !== '') JSON.parse(outcome.stdout);
  // What is right and 10 MB long may take its time.
  if (outcome.ms > 3 * LIMIT_MS) throw new Error(`took ${Math.round(outcome.ms)} ms: ${what.slice(0, 200)}`);
}

/** Every call is made; all that is wrong is reported. */
function all(calls: readonly (RawCall & { what: string })[], judge: typeof expectError): void {
  const wrong: string[] = [];
  for (const call of calls) {
    try {
      judge(callRaw(call), call.what);
    } catch (error) {
      wrong.push(String(error));
    }
  }
  if (wrong.length > 0) throw new Error(`${wrong.length} of ${calls.length}:\n${wrong.join('\n')}`);
}

/** All files on the layers over the machine's folders, by what is written: nothing may be outside the allowed places. */
function written(): string[] {
  const { stdout } = run([
    'find',
    '/mnt/upper0',
    '/mnt/upper1',
    '/mnt/upper2',
    '/run',
    '/mnt/work',
    '-type',
    'f',
  ]);
  return stdout
    .split('\n')
    .filter((path) => path !== '')
    .sort();
}

describeInNetns(
  import.meta.path,
  'hostile input',
  () => {
    let before: string[] = [];
    beforeAll(() => {
      coverFolders();
      installNode();
    });
    beforeEach(() => {
      before = written();
    });
    afterEach(() => {
      const allowed = /^\/mnt\/work\/(networks|flannel)\/|^\/mnt\/upper2\/cni\//;
      expect(written().filter((path) => !before.includes(path) && !allowed.test(path))).toEqual([]);
      expect(must(['ip', '-br', 'link', 'show', 'type', 'veth'])).toBe('');
    });

    test('garbage, nothing, a list, a lone value and a torn object on standard input', () => {
      const random = crypto.getRandomValues(new Uint8Array(65_536));
      const inputs: [string, string | Uint8Array][] = [
        ['64 KiB of chance', random],
        ['64 KiB of zeroes', new Uint8Array(65_536)],
        ['nothing', ''],
        ['blanks', ' \n\t'],
        ['a list', '[]'],
        ['null', 'null'],
        ['a number', '1e999'],
        ['a text', '"x"'],
        ['a torn object', JSON.stringify(bridgeConfig()).slice(0, 60)],
        ['a byte order mark', `\uFEFF${JSON.stringify(bridgeConfig())}`],
        ['depth', `${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`],
        ['lists in depth', '['.repeat(100_000)],
        ['two objects', '{}{}'],
      ];
      const calls = PLUGINS.flatMap((plugin) =>
        inputs.map(([what, stdin]) => ({ plugin, stdin, what: `${plugin}: ${what}` })),
      );
      all(calls, expectError);
    });

    test('configurations of 10 MB and of 20 MB', () => {
      const calls = PLUGINS.flatMap((plugin) => [
        {
          plugin,
          what: `${plugin}: 10 MB in an unknown key`,
          stdin: JSON.stringify(bridgeConfig({ x: 'y'.repeat(10e6) })),
        },
        {
          plugin,
          what: `${plugin}: 10 MB of routes`,
          stdin: JSON.stringify(
            bridgeConfig({
              ipam: {
                type: 'host-local',
                subnet: '10.0.0.0/24',
                dataDir: `${WORK}/networks`,
                routes: Array.from({ length: 400_000 }, () => ({ dst: '10.1.0.0/16' })),
              },
            }),
          ),
        },
        { plugin, what: `${plugin}: 20 MB`, stdin: JSON.stringify(bridgeConfig({ x: 'y'.repeat(20e6) })) },
      ]);
      all(
        calls.filter(({ plugin }) => plugin === 'flannel' || plugin === 'bridge'),
        expectError,
      );
      all(calls, expectDecent);
    });

    test('hostile strings in the environment', () => {
      const texts = NASTY.filter((text) => !text.includes('\u0000') && text.length < 70_000);
      const calls = ['flannel', 'bridge', 'host-local', 'loopback', 'portmap'].flatMap((plugin) =>
        ['CNI_CONTAINERID', 'CNI_IFNAME', 'CNI_NETNS', 'CNI_COMMAND', 'CNI_ARGS'].flatMap((key) =>
          texts.map((text) => ({
            plugin,
            env: { [key]: text },
            stdin: JSON.stringify(bridgeConfig({ cniVersion: '0.4.0' })),
            what: `${plugin} ${key}=${JSON.stringify(text)}`,
          })),
        ),
      );
      all(calls, expectDecent);
    });

    test('hostile strings in every field of a configuration', () => {
      using pod = NamedNetns.create('bad');
      const env = { CNI_NETNS: pod.path };
      const fields: ((text: string) => object)[] = [
        (name) => ({ name }),
        (cniVersion) => ({ cniVersion }),
        (bridge) => ({ bridge }),
        (type) => ({ ipam: { type } }),
        (subnet) => ({ ipam: { type: 'host-local', dataDir: `${WORK}/networks`, subnet } }),
        (gateway) => ({
          ipam: { type: 'host-local', dataDir: `${WORK}/networks`, subnet: '10.244.1.0/24', gateway },
        }),
        (dst) => ({
          ipam: {
            type: 'host-local',
            dataDir: `${WORK}/networks`,
            subnet: '10.244.1.0/24',
            routes: [{ dst }],
          },
        }),
        (mac) => ({ runtimeConfig: { mac } }),
        (ip) => ({ runtimeConfig: { ips: [ip] } }),
        (mtu) => ({ mtu }),
        (resolvConf) => ({
          ipam: { type: 'host-local', dataDir: `${WORK}/networks`, subnet: '10.244.1.0/24', resolvConf },
        }),
      ];
      const wrong: string[] = [];
      for (const [index, make] of fields.entries()) {
        for (const text of NASTY) {
          const stdin = JSON.stringify(bridgeConfig(make(text)));
          const what = `field ${index}: ${JSON.stringify(text)}`;
          try {
            const outcome = callRaw({ plugin: 'bridge', stdin, env });
            expectDecent(outcome, what);
            if (outcome.code === 0) callRaw({ plugin: 'bridge', stdin, env: { ...env, CNI_COMMAND: 'DEL' } });
          } catch (error) {
            wrong.push(String(error));
          }
        }
      }
      if (wrong.length > 0) throw new Error(`${wrong.length}:\n${wrong.join('\n')}`);
      expect(run(['ls', '/mnt/work/owned']).code).not.toBe(0);
    });

    test('hostile strings in every field of flannel', () => {
      using pod = NamedNetns.create('bad');
      const env = { CNI_NETNS: pod.path };
      const base = { cniVersion: '1.0.0', name: 'cbr0', type: 'flannel', dataDir: `${WORK}/flannel` };
      const ipam = { dataDir: `${WORK}/networks` };
      const fields: ((text: string) => object)[] = [
        (name) => ({ name }),
        (type) => ({ delegate: { type } }),
        (bridge) => ({ delegate: { bridge } }),
        (type) => ({ ipam: { ...ipam, type } }),
        (dst) => ({ ipam: { ...ipam, routes: [{ dst }] } }),
        (dataDir) => ({ dataDir }),
      ];
      const calls = fields.flatMap((make, index) =>
        NASTY.map((text) => ({
          plugin: 'flannel',
          env,
          stdin: JSON.stringify({ ...base, ipam, ...make(text) }),
          what: `flannel field ${index}: ${JSON.stringify(text)}`,
        })),
      );
      const wrong: string[] = [];
      for (const call of calls) {
        try {
          const outcome = callRaw(call);
          expectDecent(outcome, call.what);
          if (outcome.code === 0) callRaw({ ...call, env: { ...env, CNI_COMMAND: 'DEL' } });
        } catch (error) {
          wrong.push(String(error));
        }
      }
      if (wrong.length > 0) throw new Error(`${wrong.length} of ${calls.length}:\n${wrong.join('\n')}`);
    });
  },
  { mounts: true, processes: true },
);
