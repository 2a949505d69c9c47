import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VERSION } from '#base/version.ts';
import { debianPackage, debianVersion } from '../../scripts/package/debian-package.ts';
import { Chroot } from '../support/chroot.ts';
import { sourcePath } from '../support/packaging.ts';

const folder = mkdtempSync(join(tmpdir(), 'flannel-deb-'));
afterAll(() => rmSync(folder, { recursive: true }));

const NEW = join(folder, 'flannel.deb');
const OLD = join(folder, 'older.deb');
const CONF = '/etc/default/flanneld';

/** An executable for an older package: nothing here runs it. */
const SMALL = new TextEncoder().encode('#!/bin/sh\n');

function field(path: string, name: string): string {
  return Bun.spawnSync(['dpkg-deb', '--field', path, name]).stdout.toString().trim();
}

/** dpkg's word for the state of the package, e.g. `ii`. */
function stateIn(chroot: Chroot): string {
  const { code, text } = chroot.run('dpkg-query', '--show', '--showformat=${db:Status-Abbrev}', 'flannel');
  return code === 0 ? text.trim() : 'none';
}

beforeAll(() => {
  const time = 1_700_000_000;
  const executable = readFileSync(sourcePath('dist/bin/flannel'));
  writeFileSync(NEW, debianPackage({ version: VERSION, architecture: 'amd64', time, executable }));
  writeFileSync(OLD, debianPackage({ version: '0.0.9', architecture: 'amd64', time, executable: SMALL }));
});

describe('the Debian package', () => {
  test('is the same for the same contents, and another for others', () => {
    const contents = { version: '0.0.9', architecture: 'amd64', time: 1_700_000_000, executable: SMALL };
    const old = readFileSync(OLD);
    expect(Buffer.from(debianPackage(contents)).equals(old)).toBe(true);
    expect(Buffer.from(debianPackage({ ...contents, time: contents.time + 1 })).equals(old)).toBe(false);
  });

  test('says what it is and needs', () => {
    expect(field(NEW, 'Package')).toBe('flannel');
    expect(field(NEW, 'Version')).toBe(debianVersion(VERSION));
    expect(field(NEW, 'Architecture')).toBe('amd64');
    expect(field(NEW, 'Recommends')).toBe('iptables');
    expect(['Conflicts', 'Replaces', 'Breaks', 'Provides'].map((name) => field(NEW, name))).toEqual([
      '',
      '',
      '',
      '',
    ]);
  });

  test('asks for the C library whose symbols the executable uses', () => {
    const table = Bun.spawnSync(['objdump', '-T', sourcePath('dist/bin/flannel')]).stdout.toString();
    const needed = [...table.matchAll(/GLIBC_([\d.]+)/g)].map(([, version = '']) => version);
    const newest = needed.toSorted((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1);
    expect(field(NEW, 'Depends')).toBe(`libc6 (>= ${newest})`);
  });

  test('lintian finds nothing, warnings and hints included', () => {
    // Of the small package: looking for strings in the executable takes 15 s, and what there is to say of that is overridden.
    const argv = ['lintian', '--display-info', '--pedantic', '--allow-root', '--fail-on=none', OLD];
    const done = Bun.spawnSync(argv, { stdout: 'pipe', stderr: 'pipe' });
    const found = done.stdout.toString().match(/^[EWIP]: .*$/gm) ?? [];
    const others = found.filter(
      (line) => !/ unused-override [\w-]+ (?:\* )?\[usr\/bin\/flanneld\]/.test(line),
    );
    expect([done.exitCode, others, done.stderr.toString()]).toEqual([0, [], '']);
    expect(found.length).toBeGreaterThan(others.length);
  });

  test('scripts of the maintainer are POSIX shell', () => {
    for (const script of ['postinst', 'prerm', 'postrm']) {
      const done = Bun.spawnSync(['dash', '-n', sourcePath(`packaging/deb/${script}`)]);
      expect([script, done.exitCode, done.stderr.toString()]).toEqual([script, 0, '']);
    }
  });
});

test('install, remove and purge: nothing is left', () => {
  using chroot = new Chroot();
  const lent = chroot.lend(NEW, 'flannel.deb');
  expect(chroot.changed()).toEqual([]);
  const said = chroot.must('dpkg', '--install', lent);
  expect(said).not.toMatch(/warning|error|fail/i);
  expect(stateIn(chroot)).toBe('ii');
  expect(chroot.must('flanneld', '--version')).toBe(`flanneld v${VERSION}\n`);
  expect(chroot.must('flannelctl', 'version')).toBe(`flannelctl v${VERSION}\n`);
  expect(chroot.must('/usr/lib/flannel/cni/bridge', '--version')).toBe(`bridge v${VERSION}\n`);
  expect(chroot.must('stat', '--format=%a %U', CONF)).toBe('600 root\n');
  expect(chroot.must('dpkg', '--verify', 'flannel')).toBe('');
  // Its programs are where it says, and nothing is enabled.
  expect(chroot.must('systemd-analyze', 'verify', 'flanneld.service')).toBe('');
  expect(chroot.must('man', '--where', 'flannelctl')).toBe('/usr/share/man/man8/flannelctl.8.gz\n');
  expect(chroot.run('systemctl', 'is-enabled', 'flanneld').text).toBe('disabled\n');
  chroot.must('systemctl', 'enable', 'flanneld');

  chroot.must('dpkg', '--remove', 'flannel');
  expect(stateIn(chroot)).toBe('rc');
  expect(chroot.run('which', 'flanneld').code).toBe(1);
  expect(chroot.must('cat', CONF)).toBe(
    readFileSync(sourcePath('packaging/systemd/flanneld.default'), 'utf8'),
  );
  chroot.must('dpkg', '--purge', 'flannel');
  expect(stateIn(chroot)).toBe('none');
  expect(chroot.changed()).toEqual([]);
});

test('upgrade: the operator keeps the flags and what was enabled', () => {
  using chroot = new Chroot();
  const older = chroot.lend(OLD, 'older.deb');
  const newer = chroot.lend(NEW, 'newer.deb');
  chroot.must('dpkg', '--install', older);
  chroot.must('systemctl', 'enable', 'flanneld');
  chroot.must('sed', '-i', '1i FLANNELD_V=4', CONF);
  expect(chroot.must('dpkg', '--install', newer)).toContain('over (0.0.9-1)');
  expect(chroot.must('head', '-1', CONF)).toBe('FLANNELD_V=4\n');
  expect(chroot.run('systemctl', 'is-enabled', 'flanneld').text).toBe('enabled\n');
  expect(chroot.must('flanneld', '--version')).toBe(`flanneld v${VERSION}\n`);
  // Once more is no change.
  const before = chroot.changed();
  chroot.must('dpkg', '--install', newer);
  expect(chroot.changed()).toEqual(before);
  chroot.must('dpkg', '--purge', 'flannel');
  expect(chroot.changed()).toEqual([]);
});

test("beside Debian's own CNI plugins and those in /opt/cni/bin", () => {
  using chroot = new Chroot();
  const lent = chroot.lend(NEW, 'flannel.deb');
  chroot.must('dpkg', '--install', lent);
  expect(chroot.must('dpkg', '--verify', 'containernetworking-plugins')).toBe('');
  const conflist = '/usr/share/doc/flannel/examples/10-flannel.conflist';
  chroot.must('install', '-d', '/etc/cni/net.d');
  expect(chroot.must('flannelctl', 'install-cni', '--conf-file', conflist)).toContain(
    '10-flannel.conflist: written',
  );
  expect(chroot.must('/opt/cni/bin/flannel', '--version')).toBe(`flannel v${VERSION}\n`);
});
