import { held } from '#lab/serve/child.ts';
import { afterAll, expect, test } from 'bun:test';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { ensureNodeBuild, nodeFolder } from '../../scripts/node/build.mjs';
import { must } from '../support/netns.ts';
import { compileStandIn, debianRoot, MACHINES, STAND_IN } from './emulated.ts';

// Netlink on a big-endian machine: the emulation of system calls does not translate enough of it, so a kernel is started.

/** Longest life of the machine, ms: it takes half a minute on an idle host. */
const LIMIT = 250_000;
const MODULES = ['net/llc/llc', 'net/802/stp', 'net/bridge/bridge', 'drivers/net/veth'];
const LIBRARIES = 'usr/lib/s390x-linux-gnu';
const folder = mkdtempSync(`${tmpdir()}/flannel-s390x-`);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const CONFIGS = {
  lo: { cniVersion: '1.0.0', name: 'lo', type: 'loopback' },
  bridge: {
    cniVersion: '1.0.0',
    name: 'pods',
    type: 'bridge',
    bridge: 'cni0',
    isGateway: true,
    mtu: 1450,
    ipam: {
      type: 'host-local',
      dataDir: '/run/networks',
      subnet: '10.9.0.0/24',
      routes: [{ dst: '0.0.0.0/0' }],
    },
  },
};

/** The machine's file system: Node with its libraries, two plugins, the kernel's modules. */
function makeRoot(root: string, modules: string): void {
  const machine = MACHINES.find(({ node }) => node === 's390x');
  if (machine === undefined) throw new Error('no s390x');
  const debian = debianRoot(machine);
  for (const name of ['proc', 'sys', 'dev', 'run', 'tmp', 'modules', 'opt', 'usr/bin', LIBRARIES])
    mkdirSync(`${root}/${name}`, { recursive: true });
  for (const name of ['bin', 'lib']) must(['ln', '-s', `usr/${name}`, `${root}/${name}`]);
  for (const name of ['node', 'busybox', 'ip'])
    copyFileSync(`${debian}/usr/bin/${name}`, `${root}/usr/bin/${name}`);
  const libraries = readdirSync(`${debian}/${LIBRARIES}`).filter((name) => /\.so(\.|$)/.test(name));
  must(['cp', '-a', ...libraries.map((name) => `${debian}/${LIBRARIES}/${name}`), `${root}/${LIBRARIES}`]);
  must(['cp', '-a', `${debian}/usr/lib/ld64.so.1`, `${root}/usr/lib`]);
  must(['cp', '-a', `${debian}/usr/share/nodejs`, `${root}/usr/share-nodejs`]);
  mkdirSync(`${root}/usr/share`);
  must(['mv', `${root}/usr/share-nodejs`, `${root}/usr/share/nodejs`]);
  for (const name of MODULES)
    copyFileSync(`${modules}/${name}.ko`, `${root}/modules/${name.split('/').at(-1)}.ko`);
  for (const name of ['loopback', 'bridge'])
    copyFileSync(`${nodeFolder('s390x')}/${name}`, `${root}/opt/${name}`);
  for (const [name, config] of Object.entries(CONFIGS))
    writeFileSync(`${root}/opt/${name}.json`, JSON.stringify(config));
  copyFileSync(STAND_IN, `${root}/opt/ffi-stand-in.mjs`);
  compileStandIn(machine, `${root}/opt/ffi.node`);
  copyFileSync(`${import.meta.dir}/s390x-guest.sh`, `${root}/init`);
  chmodSync(`${root}/init`, 0o755);
}

/** What the machine said, by label. */
async function story(): Promise<ReadonlyMap<string, string>> {
  const machine = MACHINES.find(({ node }) => node === 's390x');
  if (machine === undefined) throw new Error('no s390x');
  const kernel = debianRoot(machine, { suite: 'bookworm', packages: ['linux-image-s390x'] });
  const image = readdirSync(`${kernel}/boot`).find((name) => name.startsWith('vmlinuz-')) ?? '';
  const root = `${folder}/root`;
  makeRoot(root, `${kernel}/lib/modules/${image.slice('vmlinuz-'.length)}/kernel`);
  must(['sh', '-c', `cd ${root} && find . | cpio -o -H newc --quiet > ${root}.cpio`]);
  const console = `${folder}/console`;
  const argv = ['qemu-system-s390x', '-M', 's390-ccw-virtio', '-cpu', 'max', '-m', '1280', '-no-reboot'];
  const devices = ['-display', 'none', '-monitor', 'none', '-serial', `file:${console}`, '-nic', 'none'];
  const system = [
    '-kernel',
    `${kernel}/boot/${image}`,
    '-initrd',
    `${root}.cpio`,
    '-append',
    'quiet panic=-1',
  ];
  const child = Bun.spawn(held([...argv, ...devices, ...system]), {
    stdio: ['ignore', 'ignore', 'inherit'],
    timeout: LIMIT,
    killSignal: 'SIGKILL',
  });
  await child.exited;
  const text = readFileSync(console, 'utf8').replaceAll('\r', '');
  if (!text.includes('@end')) throw new Error(`the machine broke off:\n${text}`);
  return new Map([...text.matchAll(/^@(\S+) (.*)$/gm)].map(([, label = '', said = '']) => [label, said]));
}

test('loopback and bridge with a big-endian kernel: ADD, traffic, DEL', async () => {
  expect(ensureNodeBuild('s390x', 'script')).toBe(true);
  const said = await story();
  expect(JSON.parse(said.get('loopback-ADD') ?? '')).toMatchObject({
    ips: [{ address: '127.0.0.1/8' }, { address: '::1/128' }],
  });
  expect(JSON.parse(said.get('bridge-ADD') ?? '')).toMatchObject({
    interfaces: [{ name: 'cni0' }, {}, { name: 'eth0', sandbox: '/run/netns/pod' }],
    ips: [{ address: '10.9.0.2/24', gateway: '10.9.0.1', interface: 2 }],
  });
  expect(said.get('addresses')).toMatch(/eth0@\S+ +UP +10\.9\.0\.2\/24/);
  expect(said.get('routes')).toContain('default via 10.9.0.1 dev eth0');
  expect(said.get('ping')).toContain('1 packets received');
  expect(said.get('bridge-DEL')).toBe('');
  expect(said.get('left')).toMatch(/^lo /);
  expect(said.get('left')).not.toContain('eth0');
}, 600_000);
