import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VERSION } from '#base/version.ts';
import { Chroot } from '../support/chroot.ts';
import { sourcePath } from '../support/packaging.ts';

const folder = mkdtempSync(join(tmpdir(), 'flannel-package-'));
afterAll(() => rmSync(folder, { recursive: true }));

const ARCHIVE = `flannel-${VERSION}-linux-amd64.tar.gz`;
const PACKAGE = `flannel_${VERSION}-1_amd64.deb`;
const STATEMENT = `flannel-${VERSION}-packages.intoto.json`;

function pack(out: string): void {
  const argv = ['node', sourcePath('scripts/package.mjs'), '--arch', 'amd64', '--out', out];
  const done = Bun.spawnSync(argv, { cwd: '/', stdout: 'pipe', stderr: 'pipe' });
  expect([done.exitCode, done.stderr.toString()]).toEqual([0, '']);
}

const sumsOf = (out: string) => readFileSync(join(out, 'SHA256SUMS'), 'utf8');

beforeAll(() => pack(join(folder, 'first')));

test('npm run package writes two packages, their checksums and what they were built from', () => {
  const out = join(folder, 'first');
  expect(readdirSync(out).toSorted()).toEqual(['SHA256SUMS', ARCHIVE, STATEMENT, PACKAGE].toSorted());
  const done = Bun.spawnSync(['sha256sum', '--check', '--strict', 'SHA256SUMS'], {
    cwd: out,
    stdout: 'ignore',
  });
  expect(done.exitCode).toBe(0);
});

test('twice from the same sources is the same', () => {
  pack(join(folder, 'second'));
  expect(sumsOf(join(folder, 'second'))).toBe(sumsOf(join(folder, 'first')));
});

interface Statement {
  readonly _type: string;
  readonly predicateType: string;
  readonly subject: readonly { readonly name: string; readonly digest: { readonly sha256: string } }[];
  readonly predicate: {
    readonly buildDefinition: {
      readonly externalParameters: Readonly<Record<string, unknown>>;
      readonly internalParameters: Readonly<Record<string, unknown>>;
      readonly resolvedDependencies: readonly {
        readonly name: string;
        readonly digest: Record<string, string>;
      }[];
    };
  };
}

test('the statement names what came out, commit, lockfile, Bun and command', () => {
  const text = readFileSync(join(folder, 'first', STATEMENT), 'utf8');
  const { subject, predicate, ...types } = JSON.parse(text) as Statement;
  expect(types).toEqual({
    _type: 'https://in-toto.io/Statement/v1',
    predicateType: 'https://slsa.dev/provenance/v1',
  });
  const sums = sumsOf(join(folder, 'first'));
  expect(subject.map(({ name }) => name)).toEqual([ARCHIVE, PACKAGE]);
  for (const { name, digest } of subject) expect(sums).toContain(`${digest.sha256}  ${name}\n`);
  const { externalParameters, internalParameters, resolvedDependencies } = predicate.buildDefinition;
  expect(externalParameters['command']).toBe('npm ci --ignore-scripts && npm run package -- --arch amd64');
  expect(internalParameters['bun']).toBe(Bun.version);
  const digests = new Map(resolvedDependencies.map(({ name, digest }) => [name, digest]));
  const run = (...argv: string[]) => Bun.spawnSync(argv, { cwd: sourcePath('.') }).stdout.toString();
  expect(digests.get('source')).toEqual({ gitCommit: run('git', 'rev-parse', 'HEAD').trim() });
  expect(digests.get('package-lock.json')).toEqual({
    sha256: run('sha256sum', 'package-lock.json').split(' ')[0] ?? '',
  });
  expect(digests.get('@oven/bun-linux-x64')?.['sha512']).toMatch(/^[0-9a-f]{128}$/);
});

/** The archive, unpacked in a machine of its own. */
function unpacked(): Chroot {
  const chroot = new Chroot();
  chroot.must('tar', '-xzf', chroot.lend(join(folder, 'first', ARCHIVE), ARCHIVE), '-C', '/tmp');
  return chroot;
}

const HERE = `/tmp/flannel-${VERSION}`;

test('the installer installs, says what it did, and has nothing to do the second time', () => {
  using chroot = unpacked();
  const first = chroot.must(`${HERE}/install.sh`);
  expect(first).toContain('/usr/local/bin/flanneld: written\n');
  expect(first).toContain('systemctl enable --now flanneld\n');
  expect(chroot.must('flanneld', '--version')).toBe(`flanneld v${VERSION}\n`);
  expect(chroot.must('flannelctl', 'version')).toBe(`flannelctl v${VERSION}\n`);
  expect(chroot.must('stat', '--format=%a', '/etc/default/flanneld')).toBe('600\n');
  expect(chroot.must('systemd-analyze', 'verify', 'flanneld.service')).toBe('');
  expect(chroot.must('man', '--where', 'flanneld')).toEndWith('/man/man8/flanneld.8\n');

  chroot.must('sed', '-i', '1i FLANNELD_V=4', '/etc/default/flanneld');
  const inode = chroot.must('stat', '--format=%i', '/usr/local/bin/flanneld');
  const second = chroot.must(`${HERE}/install.sh`);
  expect(second).not.toContain('written');
  expect(second).toContain('/etc/default/flanneld: kept\n');
  expect(chroot.must('stat', '--format=%i', '/usr/local/bin/flanneld')).toBe(inode);
  expect(chroot.must('head', '-1', '/etc/default/flanneld')).toBe('FLANNELD_V=4\n');
});

test('the uninstaller removes it, keeps the flags unless told, and leaves nothing', () => {
  using chroot = unpacked();
  chroot.must(`${HERE}/install.sh`);
  chroot.must('systemctl', 'enable', 'flanneld');
  expect(chroot.must('/usr/local/share/flannel/uninstall.sh')).toContain('/etc/default/flanneld: kept');
  expect(chroot.changed()).toEqual(['etc/default/flanneld']);
  chroot.must(`${HERE}/uninstall.sh`, '--purge');
  expect(chroot.changed()).toEqual([]);
  expect(chroot.must(`${HERE}/uninstall.sh`, '--purge')).toBe('');
});

test('DESTDIR installs into the file system of another machine', () => {
  using chroot = unpacked();
  chroot.must('env', 'DESTDIR=/tmp/other machine', `${HERE}/install.sh`);
  expect(chroot.changed()).toEqual([]);
  expect(chroot.must('/tmp/other machine/usr/local/bin/flannelctl', 'version')).toContain(VERSION);
  chroot.must('env', 'DESTDIR=/tmp/other machine', `${HERE}/uninstall.sh`, '--purge');
  expect(chroot.must('find', '/tmp/other machine', '-type', 'f', '-o', '-type', 'l')).toBe('');
});

test('who is not root, a damaged archive and a wrong word are told so', () => {
  using chroot = unpacked();
  chroot.must('chmod', '-R', 'a+rX', HERE);
  const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--'];
  for (const script of ['install.sh', 'uninstall.sh']) {
    expect(chroot.run(...nobody, `${HERE}/${script}`)).toMatchObject({ code: 1 });
    expect(chroot.run(...nobody, `${HERE}/${script}`).text).toContain('must be run as root');
    expect(chroot.run(`${HERE}/${script}`, '--prefix')).toMatchObject({ code: 1 });
  }
  chroot.must('truncate', '-s', '-1', `${HERE}/systemd/flanneld.service`);
  const damaged = chroot.run(`${HERE}/install.sh`);
  expect(damaged.code).toBe(1);
  expect(damaged.text).toContain('are damaged: unpack it again');
  expect(chroot.changed()).toEqual([]);
});
