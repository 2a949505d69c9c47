import { describe, expect, test } from 'bun:test';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VERSION } from '#base/version.ts';

const bin = join(import.meta.dir, '../../dist/bin');
const NAMES = ['flannel', 'flanneld', 'bridge', 'host-local', 'loopback', 'portmap', 'flannelctl'];

function run(argv: readonly string[], cwd: string, env: Record<string, string> = {}) {
  const done = Bun.spawnSync([...argv], { cwd, env: { PATH: '/usr/bin:/bin', ...env }, stdin: null });
  return { code: done.exitCode, stdout: done.stdout.toString(), stderr: done.stderr.toString() };
}

describe('the compiled executable', () => {
  test.each(NAMES)('%s answers --version', (name) => {
    expect(run([join(bin, name), '--version'], '/')).toEqual({
      code: 0,
      stdout: `${name} v${VERSION}\n`,
      stderr: '',
    });
  });

  test('all names are one file', () => {
    const inodes = new Set(NAMES.map((name) => statSync(join(bin, name)).ino));
    expect(inodes.size).toBe(1);
  });

  test('it answers to its name through PATH and a symbolic link, too', () => {
    const done = run(['env', `PATH=${bin}:/usr/bin:/bin`, 'flanneld', '--version'], '/');
    expect(done.stdout).toBe(`flanneld v${VERSION}\n`);
  });

  test('it reads nothing from the directory that it is started in', () => {
    const dir = mkdtempSync(join(tmpdir(), 'flannel-hostile-'));
    try {
      const mark = join(dir, 'executed');
      const evil = `require('node:fs').writeFileSync(${JSON.stringify(mark)}, 'x');`;
      writeFileSync(join(dir, 'evil.cjs'), evil);
      writeFileSync(join(dir, 'bunfig.toml'), 'preload = ["./evil.cjs"]\n[run]\npreload = ["./evil.cjs"]\n');
      // A variable of ours in .env would show up as a bad flag value.
      writeFileSync(join(dir, '.env'), 'FLANNELD_IPTABLES_RESYNC=never\nCNI_COMMAND=ADD\n');
      writeFileSync(join(dir, 'tsconfig.json'), '{ this is not JSON');
      writeFileSync(join(dir, 'package.json'), '{ neither is this');
      for (const name of NAMES) expect(run([join(bin, name), '--version'], dir).code).toBe(0);
      const daemon = run([join(bin, 'flanneld'), '--etcd-prefix=none'], dir);
      expect(daemon.stderr).toContain('--etcd-prefix');
      expect(daemon.stderr).not.toContain('RESYNC');
      expect(() => readFileSync(mark)).toThrow();
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });

  test('a wrong command is told in words, without a stack trace', () => {
    const unknown = run([join(bin, 'flannelctl'), 'lba'], '/');
    expect(unknown.code).toBe(64);
    expect(unknown.stderr).toContain('lba');
    const flag = run([join(bin, 'flanneld'), '--kube-subnet-mgrr'], '/');
    expect(flag.code).toBe(2);
    expect(flag.stderr).toContain('--kube-subnet-mgr');
    for (const { stderr } of [unknown, flag]) expect(stderr).not.toMatch(/\n\s+at /);
  });
});
