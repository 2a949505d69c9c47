import { afterAll, expect, test } from 'bun:test';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { boot, fetchKernel, installProgram } from './machine.ts';

// The kernel of the machine that runs the tests may not filter VLANs: this suite brings one that does.

const ROOT = join(import.meta.dir, '../..');
const dir = mkdtempSync(`${tmpdir()}/flannel-vm-`);
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const BASE = { cniVersion: '1.0.0', name: 'vlans', type: 'bridge', bridge: 'cni0', prevResult: null };
const CONFIGS = {
  access: {
    ...BASE,
    vlan: 100,
    isDefaultGateway: true,
    ipam: { type: 'host-local', dataDir: '/run/networks', subnet: '10.1.0.0/24' },
  },
  other: {
    ...BASE,
    name: 'other',
    vlan: 200,
    preserveDefaultVlan: false,
    ipam: { type: 'host-local', dataDir: '/run/networks', subnet: '10.1.0.0/24', rangeStart: '10.1.0.20' },
  },
  trunk: {
    ...BASE,
    name: 'trunk',
    vlanTrunk: [{ id: 300 }, { minID: 200, maxID: 210 }],
    preserveDefaultVlan: false,
  },
};

interface PortJson {
  readonly ifname: string;
  readonly vlans: readonly {
    readonly vlan: number;
    readonly vlanEnd?: number;
    readonly flags?: readonly string[];
  }[];
}

/** What the guest said, by label. */
async function story(): Promise<ReadonlyMap<string, string>> {
  const kernel = fetchKernel(`${ROOT}/dist/vm-kernel`);
  const root = `${dir}/root`;
  mkdirSync(`${root}/bin`, { recursive: true });
  mkdirSync(`${root}/cni`);
  copyFileSync(join(import.meta.dir, 'guest.sh'), `${root}/init`);
  chmodSync(`${root}/init`, 0o755);
  for (const [from, to] of [
    ['/bin/busybox', '/bin/busybox'],
    ['/sbin/ip', '/bin/ip'],
    ['/sbin/bridge', '/bin/bridge'],
    [`${ROOT}/dist/bin/bridge`, '/cni/bridge'],
  ] as const) {
    installProgram(root, from, to);
  }
  for (const [name, config] of Object.entries(CONFIGS)) {
    writeFileSync(`${root}/cni/${name}.json`, JSON.stringify(config, undefined, 1));
  }
  const lines = await boot(kernel, root);
  const said = lines.flatMap((line) => {
    const [, label, text] = /^@(\S+) (.*)$/.exec(line) ?? [];
    return label === undefined || text === undefined ? [] : [[label, text] as const];
  });
  if (!said.some(([label]) => label === 'end'))
    throw new Error(`the machine broke off:\n${lines.join('\n')}`);
  return new Map(said);
}

function vlansOf(ports: readonly PortJson[], name: string | undefined): string[] {
  const port = ports.find(({ ifname }) => ifname === name);
  return (port?.vlans ?? []).map(({ vlan, vlanEnd, flags = [] }) =>
    [vlanEnd === undefined ? vlan : `${vlan}-${vlanEnd}`, ...flags].join(' '),
  );
}

test('VLANs and trunks in a kernel that filters them: ADD, CHECK, traffic, DEL', async () => {
  const said = await story();
  const result = (label: string) => {
    const text = said.get(label) ?? '';
    expect([label, text]).toEqual([label, expect.stringMatching(/^0 \{/)]);
    return JSON.parse(text.slice(2)) as { interfaces: { name: string; mac: string }[] };
  };
  const [a, c, t] = [result('add-a'), result('add-c'), result('add-t')];
  expect(a.interfaces.map(({ name }) => name.replace(/^veth.*/, 'veth'))).toEqual([
    'cni0',
    'veth',
    'eth0',
    'cni0.100',
  ]);
  const ports = JSON.parse(said.get('vlans') ?? '') as PortJson[];
  expect(vlansOf(ports, a.interfaces[1]?.name)).toEqual(['1 Egress Untagged', '100 PVID Egress Untagged']);
  expect(vlansOf(ports, c.interfaces[1]?.name)).toEqual(['200 PVID Egress Untagged']);
  expect(said.get('gateway')).toContain('"local":"10.1.0.1"');
  expect(['same-vlan', 'gateway-ping', 'other-vlan'].map((label) => said.get(label))).toEqual([
    '0',
    '0',
    '1',
  ]);
  const trunk = JSON.parse(said.get('trunk') ?? '') as PortJson[];
  expect(vlansOf(trunk, t.interfaces[1]?.name)).toEqual(['200-210', '300']);
  for (const label of ['check-a', 'check-t', 'add-b', 'del-a', 'del-b', 'del-c', 'del-t']) {
    expect([label, said.get(label)]).toEqual([label, expect.stringMatching(/^0 /)]);
  }
  expect(said.get('check-broken')).toMatch(/^1 .*is not in VLAN 205/);
  // What is left is the port of the gateway alone.
  expect((JSON.parse(said.get('left') ?? '') as { ifname: string }[]).length).toBe(1);
}, 170_000);
