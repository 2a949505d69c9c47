import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { VERSION } from '#base/version.ts';
import { ensureNodeBuild, nodeFolder } from '../../scripts/node/build.mjs';
import { emulated, MACHINES } from './emulated.ts';

setDefaultTimeout(120_000);
const folder = mkdtempSync(`${tmpdir()}/flannel-emulated-`);

beforeAll(() => {
  expect(ensureNodeBuild('s390x', 'script')).toBe(true);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.each(MACHINES.map((machine) => [machine.node, machine] as const))('%s', (name, machine) => {
  const work = mkdtempSync(`${folder}/${name}-`);

  function call(program: string, args: readonly string[], cni?: { command: string; config: object }) {
    const { argv, env } = emulated(machine, folder);
    const done = Bun.spawnSync([...argv, `${nodeFolder('s390x')}/${program}`, ...args], {
      stdin: Buffer.from(JSON.stringify(cni?.config ?? {})),
      stderr: 'pipe',
      env: {
        PATH: '/usr/bin:/bin',
        ...env,
        CNI_COMMAND: cni?.command,
        CNI_CONTAINERID: 'c1',
        CNI_IFNAME: 'eth0',
        CNI_PATH: '/nowhere',
        // The emulation has no other namespace to offer; host-local does not care.
        CNI_NETNS: '/proc/self/ns/net',
        CNI_NETNS_OVERRIDE: 'true',
      },
    });
    const text = done.stdout.toString();
    expect([done.exitCode, done.stderr.toString(), text]).toEqual([0, '', expect.anything()]);
    return text;
  }

  test('version, CNI version', () => {
    expect(call('flannelctl', ['--version'])).toBe(`flannelctl v${VERSION}\n`);
    const version = call('bridge', [], { command: 'VERSION', config: { cniVersion: '1.0.0' } });
    expect(JSON.parse(version)).toMatchObject({ cniVersion: '1.1.0' });
  });

  test('host-local: ADD, CHECK, DEL', () => {
    const ipam = { type: 'host-local', dataDir: work, subnet: '10.9.0.0/24' };
    const config = { cniVersion: '1.0.0', name: 'x', type: 'bridge', ipam };
    const result: unknown = JSON.parse(call('host-local', [], { command: 'ADD', config }));
    expect(result).toMatchObject({ ips: [{ address: '10.9.0.2/24', gateway: '10.9.0.1' }] });
    expect(readdirSync(`${work}/x`)).toContain('10.9.0.2');
    call('host-local', [], { command: 'CHECK', config: { ...config, prevResult: result } });
    call('host-local', [], { command: 'DEL', config });
    expect(readdirSync(`${work}/x`)).not.toContain('10.9.0.2');
  });
});
