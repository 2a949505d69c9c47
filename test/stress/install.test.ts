import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cureOf } from '#base/errors.ts';
import { fileRemovals } from '#cli/cleanup/files.ts';
import { PLUGINS } from '#cli/install/decide.ts';
import { installMain } from '#cli/install/main.ts';
import { findKillPoints, killAt, type TracedCall } from '../support/kill-points.ts';
import { describeInNetns, insideNetns, must } from '../support/netns.ts';

const CHILD = new URL('../support/install-child.ts', import.meta.url).pathname;
const CONFLIST = '10-flannel.conflist';
const OURS = ['.flannel-installed.json', ...PLUGINS].toSorted();

let root: string;
const at = (...parts: readonly string[]) => join(root, ...parts);
const text = (path: string) => readFileSync(path, 'utf8');

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'flannel-install-'));
  writeFileSync(at('list.json'), '{"name":"cbr0","plugins":[{"type":"flannel"}]}');
  for (const version of [1, 2, 3]) writeFileSync(at(`v${version}`), `program ${version}`.repeat(10_000));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** One run of `source` for a host; `host` is a folder below `root`. */
async function install(source: string, host = 'host'): Promise<void> {
  const folders = ['--bin-dir', at(host, 'bin'), '--conf-dir', at(host, 'net.d')];
  const to = { source: at(source), say: () => {} };
  expect(await installMain([...folders, '--conf-file', at('list.json')], to)).toBe(0);
}

function child(source: string, host: string): TracedCall {
  return { argv: [process.execPath, CHILD, at(source), at(host), at('list.json')], env: {}, stdin: '' };
}

/** What stands under each name: the program's name, `none`, or `torn`. */
function whatIsThere(host = 'host'): string[] {
  const programs = ['v1', 'v2', 'v3'].map((name) => [name, text(at(name))]);
  return PLUGINS.map((plugin) => {
    let found: string;
    try {
      found = text(at(host, 'bin', plugin));
    } catch {
      return 'none';
    }
    if (found === 'other') return found;
    return programs.find(([, content]) => content === found)?.[0] ?? 'torn';
  });
}

/** A host as it was before the run that is killed. */
async function prepared(kind: 'empty' | 'older'): Promise<void> {
  rmSync(at('host'), { recursive: true, force: true });
  mkdirSync(at('host/bin'), { recursive: true });
  writeFileSync(at('host/bin/bridge'), 'other');
  if (kind === 'older') await install('v1');
}

/** The block at the end runs this file once more, for itself. */
const outside = insideNetns() ? [] : (['empty', 'older'] as const);

describe.each(outside)('install-cni on a host that is %s, killed at every step', (kind) => {
  test('each file is the old or the new one, the conflist is last, and the next version completes it', async () => {
    await prepared(kind);
    const points = findKillPoints(child('v2', 'host'), at('trace'));
    expect(whatIsThere()).toEqual(['v2', 'other', 'v2', 'v2', 'v2']);
    expect(points.length).toBeGreaterThan(20);
    let killed = 0;
    for (const point of points) {
      await prepared(kind);
      if (!killAt(child('v2', 'host'), point)) continue;
      killed += 1;
      const after = whatIsThere();
      const allowed = kind === 'empty' ? ['none', 'v2', 'other'] : ['v1', 'v2', 'other'];
      expect([point.line, after.filter((what) => !allowed.includes(what))]).toEqual([point.line, []]);
      const lists = () => readdirSync(at('host/net.d')).filter((name) => name.endsWith('.conflist'));
      const listed = readdirSync(at('host')).includes('net.d') ? lists() : [];
      if (kind === 'empty' && listed.length > 0)
        expect([point.line, after]).toEqual([point.line, ['v2', 'other', 'v2', 'v2', 'v2']]);
      for (const name of listed) expect(text(at('host/net.d', name))).toBe(text(at('list.json')));

      // What a cleanup would take away now is ours, and leaves the other's plugin alone.
      cpSync(at('host'), at('copy'), { recursive: true });
      const folders = { binDir: at('copy/bin'), confDir: at('copy/net.d'), runDir: at('x'), cniDir: at('x') };
      const { conflist, others } = await fileRemovals(folders);
      for (const { remove } of [...conflist, ...others]) void remove();
      expect([point.line, readdirSync(at('copy/bin'))]).toEqual([point.line, ['bridge']]);
      rmSync(at('copy'), { recursive: true });

      await install('v3');
      expect([point.line, whatIsThere()]).toEqual([point.line, ['v3', 'other', 'v3', 'v3', 'v3']]);
      expect([point.line, readdirSync(at('host/bin')).toSorted()]).toEqual([point.line, OURS]);
      expect([point.line, readdirSync(at('host/net.d'))]).toEqual([point.line, [CONFLIST]]);
    }
    expect(killed).toBeGreaterThan(20);
  }, 120_000);
});

if (!insideNetns())
  test('several at once, of two versions: one of them wins whole, and the next version replaces it', async () => {
    for (let round = 0; round < 3; round += 1) {
      rmSync(at('host'), { recursive: true, force: true });
      const runs = ['v1', 'v2', 'v1', 'v2', 'v2', 'v1'].map((source) => {
        const { argv } = child(source, 'host');
        return Bun.spawn([...argv], { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' });
      });
      const said = await Promise.all(
        runs.map(async (run) => [await run.exited, await new Response(run.stderr).text()]),
      );
      expect(said).toEqual(runs.map(() => [0, '']));
      const there = whatIsThere();
      expect(there).toEqual(PLUGINS.map(() => there[0] ?? ''));
      expect(['v1', 'v2']).toContain(there[0] ?? '');
      await install('v3');
      expect(whatIsThere()).toEqual(PLUGINS.map(() => 'v3'));
      expect(readdirSync(at('host/bin')).toSorted()).toEqual(OURS);
    }
  }, 60_000);

describeInNetns(
  import.meta.path,
  'install-cni on a disk in trouble',
  () => {
    test('a full disk and a read-only one: the old version stays whole, and the cure is said', async () => {
      mkdirSync(at('host'));
      must(['mount', '-t', 'tmpfs', '-o', 'size=400k', 'tmpfs', at('host')]);
      try {
        await install('v1');
        const before = () => [
          readdirSync(at('host/bin')).toSorted(),
          readdirSync(at('host/net.d')),
          whatIsThere(),
        ];
        const old = before();
        must(['mount', '-o', 'remount,ro', at('host')]);
        const refused = await install('v3').catch((error: unknown) => error);
        expect(String(refused)).toContain('/host/bin cannot be written');
        expect(cureOf(refused)).toContain('writable');
        expect(before()).toEqual(old);
        // Nothing to write: a host that is read-only by now is no fault.
        await install('v1');
        must(['mount', '-o', 'remount,rw', at('host')]);
        writeFileSync(at('v2'), 'program 2'.repeat(40_000));
        const full = await install('v2').catch((error: unknown) => error);
        expect(String(full)).toContain('/host/bin cannot be written');
        expect(cureOf(full)).toContain('Make room');
        expect(before()).toEqual(old);
        await install('v3');
        expect(whatIsThere()).toEqual(PLUGINS.map(() => 'v3'));
      } finally {
        must(['umount', at('host')]);
      }
    });
  },
  { mounts: true },
);
