import { expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const units = new URL('../../packaging/systemd/', import.meta.url).pathname;

/** `systemd-analyze verify` of a unit in a folder of its own, in which the programs it names exist. */
function verify(prepare: (root: string) => string): string {
  const root = mkdtempSync(join(tmpdir(), 'flannel-units-'));
  try {
    const unit = prepare(root);
    const done = Bun.spawnSync(['systemd-analyze', 'verify', '--recursive-errors=no', '--man=no', unit], {
      stdout: 'pipe',
      stderr: 'pipe',
    });
    return `${done.exitCode} ${done.stderr.toString()}${done.stdout.toString()}`.replaceAll(root, '');
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** The unit with programs that are there. */
function unitWithPrograms(root: string): string {
  const text = readFileSync(`${units}flanneld.service`, 'utf8').replaceAll(
    /\/usr\/local\/bin\/flannel\w+/g,
    '/bin/true',
  );
  const path = join(root, 'flanneld.service');
  writeFileSync(path, text);
  return path;
}

test('systemd takes the unit as it is', () => {
  expect(verify(unitWithPrograms)).toBe('0 ');
});

test('the unit leaves the agent little beyond what it needs', () => {
  // In tenths, of 10 at most, for a service that has to be root with the network of the host.
  const argv = ['systemd-analyze', 'security', '--offline=yes', '--no-pager', '--threshold=58'];
  const done = Bun.spawnSync([...argv, `${units}flanneld.service`], { stdout: 'pipe', stderr: 'pipe' });
  expect([done.exitCode, /exposure level .*: (\S+)/.exec(done.stdout.toString())?.[1]]).toEqual([
    0,
    expect.any(String),
  ]);
  const open = (text: string) => new RegExp(`^✗ ${text}`, 'm').test(done.stdout.toString());
  // Kernel settings, modules, a just-in-time compiler: what it cannot do without.
  for (const needed of ['ProtectKernelTunables=', 'ProtectKernelModules=', 'MemoryDenyWriteExecute='])
    expect([needed, open(needed)]).toEqual([needed, true]);
  for (const closed of ['ProtectHome=', 'ProtectKernelLogs=', 'NoNewPrivileges='])
    expect([closed, open(closed)]).toEqual([closed, false]);
});

test('and says so when it does not', () => {
  const broken = (root: string) => {
    const path = unitWithPrograms(root);
    writeFileSync(path, readFileSync(path, 'utf8').replace('WatchdogSec=60', 'WatchdogSec=often'));
    return path;
  };
  expect(verify(broken)).toContain('Failed to parse sec value');
});

test("the drop-in for Docker reads the file that the agent's unit writes", () => {
  const [, written = ''] =
    /docker-opts -d (\S+)/.exec(readFileSync(`${units}flanneld.service`, 'utf8')) ?? [];
  const dropIn = readFileSync(`${units}docker.service.d/flannel.conf`, 'utf8');
  expect(written).not.toBe('');
  expect(dropIn).toContain(`EnvironmentFile=${written}\n`);
  const withDocker = (root: string) => {
    mkdirSync(join(root, 'docker.service.d'));
    writeFileSync(
      join(root, 'docker.service.d', 'flannel.conf'),
      dropIn.replace('/usr/bin/dockerd', '/bin/true'),
    );
    const path = join(root, 'docker.service');
    writeFileSync(path, '[Service]\nExecStart=/bin/true\n');
    unitWithPrograms(root);
    return path;
  };
  expect(verify(withDocker)).toBe('0 ');
});
