import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cureOf } from '#base/errors.ts';
import { decide, parseRecord, PLUGINS } from './decide.ts';
import { installMain } from './main.ts';

let root: string;
const at = (...parts: readonly string[]) => join(root, ...parts);
const LIST = '{"name":"cbr0","cniVersion":"0.3.1","plugins":[{"type":"flannel"}]}';

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'flannel-install-'));
  writeFileSync(at('source'), 'program 1');
  writeFileSync(at('list.json'), LIST);
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

async function install(...extra: readonly string[]): Promise<string[]> {
  const lines: string[] = [];
  const folders = [
    '--bin-dir',
    at('host/bin'),
    `--conf-dir=${at('host/net.d')}`,
    '--conf-file',
    at('list.json'),
  ];
  const to = { source: at('source'), say: (line: string) => void lines.push(line.replaceAll(root, '')) };
  expect(await installMain([...folders, ...extra], to)).toBe(0);
  return lines;
}

test('an empty host gets all plugins as one file with several names, and the conflist', async () => {
  await install();
  expect(readdirSync(at('host/bin')).sort()).toEqual(['.flannel-installed.json', ...[...PLUGINS].sort()]);
  const inodes = new Set(PLUGINS.map((plugin) => statSync(at('host/bin', plugin)).ino));
  expect(inodes.size).toBe(1);
  expect(statSync(at('host/bin/flannel')).mode & 0o7777).toBe(0o755);
  expect(readdirSync(at('host/net.d'))).toEqual(['10-flannel.conflist']);
  expect(readFileSync(at('host/net.d/10-flannel.conflist'), 'utf8')).toBe(LIST);
  expect(statSync(at('host/net.d/10-flannel.conflist')).mode & 0o7777).toBe(0o644);
});

test('nothing is written when nothing differs', async () => {
  await install();
  const files = ['bin/flannel', 'bin/.flannel-installed.json', 'net.d/10-flannel.conflist'].map((file) =>
    at('host', file),
  );
  for (const file of files) utimesSync(file, 1, 1);
  const before = files.map((file) => statSync(file).ino);
  const lines = await install();
  expect(files.map((file) => statSync(file).ino)).toEqual(before);
  for (const file of files) expect(statSync(file).mtimeMs).toBe(1000);
  expect(lines.at(-1)).toBe('/host/net.d/10-flannel.conflist: as it should be');
});

test("another program's plugins stay, but for flannel; --replace-all takes them; an update takes ours only", async () => {
  await install();
  writeFileSync(at('host/bin/bridge.new'), "somebody's bridge");
  rmSync(at('host/bin/bridge'));
  writeFileSync(at('host/bin/bridge'), "somebody's bridge");
  writeFileSync(at('source'), 'program 2');
  const lines = await install();
  expect(readFileSync(at('host/bin/bridge'), 'utf8')).toBe("somebody's bridge");
  for (const plugin of PLUGINS.filter((each) => each !== 'bridge'))
    expect(readFileSync(at('host/bin', plugin), 'utf8')).toBe('program 2');
  expect(lines.join('\n')).toContain("/host/bin/bridge: another program's, left alone");
  await install('--replace-all');
  expect(readFileSync(at('host/bin/bridge'), 'utf8')).toBe('program 2');
});

test('a plugin that runs keeps its file: the new one is another inode', async () => {
  await install();
  const before = statSync(at('host/bin/flannel')).ino;
  writeFileSync(at('source'), 'program 2');
  await install();
  expect(statSync(at('host/bin/flannel')).ino).not.toBe(before);
});

test('a link under a name is replaced, not followed', async () => {
  await install();
  rmSync(at('host/bin/flannel'));
  writeFileSync(at('victim'), 'precious');
  symlinkSync(at('victim'), at('host/bin/flannel'));
  await install();
  expect(readFileSync(at('victim'), 'utf8')).toBe('precious');
  expect(readFileSync(at('host/bin/flannel'), 'utf8')).toBe('program 1');
});

describe('what cannot be installed leaves the host without a conflist', () => {
  test.each([
    ['{', 'is not JSON'],
    ['{"plugins":[{}]}', 'has no name'],
    ['{"name":"a","plugins":[]}', 'has no list of plugins'],
  ])('conflist %s', async (text, why) => {
    writeFileSync(at('list.json'), text);
    expect(await install().catch(String)).toContain(why);
    expect(() => readdirSync(at('host'))).toThrow('ENOENT');
  });

  test('a missing conflist names the ConfigMap', async () => {
    rmSync(at('list.json'));
    const error = await install().catch((each: unknown) => each);
    expect(cureOf(error)).toContain('kube-flannel-cfg');
  });

  test('a folder that is a file', async () => {
    writeFileSync(at('host'), '');
    expect(await install().catch(String)).toContain('ENOTDIR');
    chmodSync(at('host'), 0o644);
  });
});

test('a record that is damaged makes nothing ours', () => {
  for (const text of ['', '{', '[]', '{"version":1,"files":{}}', '{"version":"1","files":{"flannel":"x"}}'])
    expect(parseRecord(text)?.files.flannel).toBeUndefined();
  const decisions = decide({
    wanted: 'a',
    found: { bridge: { digest: 'b' } },
    record: undefined,
    replaceOthers: false,
  });
  expect(decisions.find(({ plugin }) => plugin === 'bridge')).toEqual({ plugin: 'bridge', action: 'leave' });
});
