import { beforeAll, beforeEach, expect, test } from 'bun:test';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { coverFolders, installNode, traces, WORK } from '../support/cni-machine.ts';
import { callRaw, type TimedOutcome } from '../support/cni-raw.ts';
import { errorOf } from '../support/cni.ts';
import { AT_ONCE } from '../support/eventually.ts';
import { describeInNetns, must, NamedNetns, run } from '../support/netns.ts';

const SMALL = `${WORK}/small`;
const STORE = `${SMALL}/networks/cbr0`;

/** One unfinished file for a network, one side file for an address: they do not add up. */
const STORE_OWN = /\/\.(new$|boot\/)/;

function config(extra: object = {}): object {
  return {
    cniVersion: '1.0.0',
    name: 'cbr0',
    type: 'flannel',
    dataDir: `${SMALL}/flannel`,
    ipam: { dataDir: `${SMALL}/networks` },
    delegate: { isDefaultGateway: true },
    ...extra,
  };
}

function call(command: string, netns: string, containerId = 'pod'): TimedOutcome {
  const env = { CNI_COMMAND: command, CNI_NETNS: netns, CNI_CONTAINERID: containerId };
  return callRaw({ plugin: 'flannel', stdin: JSON.stringify(config()), env });
}

function mustCall(command: string, netns: string, containerId = 'pod'): string {
  const { code, stdout, stderr } = call(command, netns, containerId);
  if (code !== 0) throw new Error(`${command}: ${stdout}${stderr}`);
  return stdout;
}

/** Links and rules of pods, and files that hold an address or a container. */
function left(): string[] {
  const files = run(['find', SMALL, '-type', 'f']).stdout.split('\n');
  const kept = files.filter((path) => path !== '' && !/\/(lock|filler|last_reserved_ip\.\d)$/.test(path));
  return [...traces().filter((line) => !line.startsWith('namespace ')), ...kept];
}

/** A refusal with a code, in words that name `words`, within a second. */
function expectRefused(outcome: TimedOutcome, words: RegExp): void {
  expect(outcome.code).toBe(1);
  const { code, msg } = errorOf(outcome.stdout);
  expect([5, 999]).toContain(code);
  expect(msg).toMatch(words);
  expect(outcome.stderr).not.toContain('fault of the program');
  expect(outcome.ms).toBeLessThan(AT_ONCE);
}

/** A file system of `pages` pages with `inodes` files. */
function mountSmall(options: string): void {
  run(['umount', SMALL]);
  must(['mount', '-t', 'tmpfs', '-o', options, 'tmpfs', SMALL]);
}

describeInNetns(
  import.meta.path,
  'a disk in trouble',
  () => {
    beforeAll(() => {
      coverFolders();
      installNode();
      mkdirSync(SMALL);
      must(['ip', 'link', 'set', 'lo', 'up']);
    });
    beforeEach(() => {
      mountSmall('size=1m');
    });

    test('no space: ADD says so and leaves nothing; DEL of running pods still works', () => {
      using running = NamedNetns.create('disk');
      using pod = NamedNetns.create('disk');
      mustCall('ADD', running.path, 'running');
      run(['dd', 'if=/dev/zero', `of=${SMALL}/filler`, 'bs=4096']);
      expectRefused(call('ADD', pod.path), /no space left/i);
      expect(left().filter((line) => line.includes('pod'))).toEqual([]);
      expect(pod.exec(['ip', '-br', 'link'])).toMatch(/^lo [^\n]*\n$/);
      mustCall('DEL', pod.path);
      mustCall('DEL', running.path, 'running');
      expect(left()).toEqual([]);
      must(['rm', `${SMALL}/filler`]);
      mustCall('ADD', pod.path);
      mustCall('DEL', pod.path);
      expect(left()).toEqual([]);
    });

    test('no space or no file left at any point of ADD: it fails whole or succeeds whole', () => {
      // One page or one file more each time: the failure moves through all of the writes.
      for (const limit of ['nr_blocks', 'nr_inodes']) {
        let succeeded = false;
        for (let count = 2; count < 24; count += 1) {
          using pod = NamedNetns.create('disk');
          mountSmall(`${limit}=${count}`);
          const outcome = call('ADD', pod.path);
          if (outcome.code === 0) {
            succeeded = true;
            expect(mustCall('DEL', pod.path)).toBe('');
          } else {
            expectRefused(outcome, /no space left/i);
            expect(pod.exec(['ip', '-br', 'link'])).toMatch(/^lo [^\n]*\n$/);
            const unwanted = left().filter((line) => !STORE_OWN.test(line));
            expect([limit, count, unwanted]).toEqual([limit, count, []]);
            // The administrator makes room: all is well without anything done by hand.
            must(['mount', '-o', `remount,${limit}=200`, SMALL]);
            mustCall('ADD', pod.path);
            mustCall('DEL', pod.path);
          }
          expect([limit, count, left().filter((line) => !/\/\.boot\//.test(line))]).toEqual([
            limit,
            count,
            [],
          ]);
        }
        expect(succeeded).toBe(true);
      }
    });

    test('a read-only data folder: ADD names it; DEL says that it could not free, and frees it later', () => {
      using running = NamedNetns.create('disk');
      using pod = NamedNetns.create('disk');
      mustCall('ADD', running.path, 'running');
      must(['mount', '-o', 'remount,ro', SMALL]);
      expectRefused(call('ADD', pod.path), /read-only file system/i);
      expectRefused(call('ADD', pod.path), new RegExp(SMALL));
      expect(pod.exec(['ip', '-br', 'link'])).toMatch(/^lo [^\n]*\n$/);
      expectRefused(call('DEL', running.path, 'running'), /read-only file system/i);
      must(['mount', '-o', 'remount,rw', SMALL]);
      mustCall('DEL', running.path, 'running');
      expect(left()).toEqual([]);
    });

    test('a namespace that is missing, a plain file, a folder, a device, another kind of namespace', () => {
      writeFileSync(`${WORK}/plain`, '');
      const wrong = [
        '/run/netns/nope',
        `${WORK}/plain`,
        WORK,
        '/dev/null',
        '/proc/self/ns/mnt',
        '/proc/self/environ',
      ];
      for (const path of wrong) {
        expectRefused(call('ADD', path), /failed to open netns/);
        expect(left()).toEqual([]);
        expect([path, call('DEL', path).code]).toEqual([path, 0]);
      }
    });

    test('a damaged store: empty, torn, foreign and huge files, folders and links in the place of files', () => {
      using pod = NamedNetns.create('disk');
      const damage: [string, () => void][] = [
        ['empty reservation', () => writeFileSync(`${STORE}/10.244.1.2`, '')],
        ['zeroes', () => writeFileSync(`${STORE}/10.244.1.2`, new Uint8Array(4096))],
        ['torn', () => writeFileSync(`${STORE}/10.244.1.2`, '\r\neth0')],
        ['chance', () => writeFileSync(`${STORE}/10.244.1.2`, crypto.getRandomValues(new Uint8Array(4096)))],
        ['huge', () => writeFileSync(`${STORE}/10.244.1.2`, 'x'.repeat(500_000))],
        ['folder', () => mkdirSync(`${STORE}/10.244.1.2`)],
        ['link to nowhere', () => void must(['ln', '-s', '/nowhere', `${STORE}/10.244.1.2`])],
        ['names that are no addresses', () => writeFileSync(`${STORE}/...`, 'pod')],
        ['last address: empty', () => writeFileSync(`${STORE}/last_reserved_ip.0`, '')],
        ['last address: of another net', () => writeFileSync(`${STORE}/last_reserved_ip.0`, '192.0.2.77')],
        ['last address: chance', () => writeFileSync(`${STORE}/last_reserved_ip.0`, '\u0000\u0001garbage')],
        ['leftover', () => writeFileSync(`${STORE}/.new`, 'somebody\r\neth0')],
      ];
      const wrong: string[] = [];
      for (const [what, make] of damage) {
        mountSmall('size=1m');
        mkdirSync(STORE, { recursive: true });
        make();
        try {
          expect(mustCall('ADD', pod.path)).toContain('"10.244.1.');
        } catch (error) {
          wrong.push(`${what}: ${String(error)}`);
        }
        const { code, stdout } = call('DEL', pod.path);
        if (code !== 0) wrong.push(`${what}: DEL: ${stdout}`);
        const inside = pod.exec(['ip', '-br', 'link']);
        if (!/^lo [^\n]*\n$/.test(inside)) wrong.push(`${what}: left ${inside}`);
      }
      expect(wrong).toEqual([]);
    });

    test('what no program of the field makes of a store is refused by its path', () => {
      using pod = NamedNetns.create('disk');
      const damage: [string, () => void][] = [
        [
          '/10.244.1.2: too many symbolic links',
          () => must(['ln', '-s', '10.244.1.2', `${STORE}/10.244.1.2`]),
        ],
        ['/.boot/10.244.1.2: not a folder', () => writeFileSync(`${STORE}/.boot`, '')],
        ['/.new: is a folder', () => mkdirSync(`${STORE}/.new`)],
      ];
      for (const [words, make] of damage) {
        mountSmall('size=1m');
        mkdirSync(STORE, { recursive: true });
        make();
        expectRefused(call('ADD', pod.path), new RegExp(words));
        expect(pod.exec(['ip', '-br', 'link'])).toMatch(/^lo [^\n]*\n$/);
      }
    });

    test('damaged scratch files: DEL frees everything all the same', () => {
      using pod = NamedNetns.create('disk');
      const texts = [
        '',
        '{',
        'null',
        '[]',
        '{"type":"/bin/sh","name":"cbr0","ipam":{}}',
        '\u0000'.repeat(4096),
      ];
      texts.push(
        '{"type":"bridge","name":"cbr0","cniVersion":"1.0.0","ipam":{"type":"../../bin/sh"}}',
        '1'.repeat(100_000),
      );
      for (const text of texts) {
        mountSmall('size=1m');
        mustCall('ADD', pod.path);
        writeFileSync(`${SMALL}/flannel/pod`, text);
        const { code, stdout } = call('DEL', pod.path);
        expect([text.slice(0, 80), code, stdout]).toEqual([text.slice(0, 80), 0, '']);
        expect([text.slice(0, 80), left()]).toEqual([text.slice(0, 80), []]);
      }
      expect(readdirSync(`${SMALL}/flannel`)).toEqual([]);
    });
  },
  { mounts: true, processes: true },
);
