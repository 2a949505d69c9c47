import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { must } from '../support/netns.ts';

const ROOT = join(import.meta.dir, '../..');
/** npm has no Node 26 for these machines; Debian's next release has a Node 24 for them, which lacks `node:ffi`. */
const NODE_24 = { suite: 'forky', packages: ['nodejs', 'busybox-static', 'iproute2'] };
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** A machine that an emulator stands for. */
export interface Machine {
  /** Node's name, Debian's, and the one of emulator and compiler. */
  readonly node: string;
  readonly debian: string;
  readonly qemu: string;
  readonly compiler: string;
  readonly cpu: string;
}

export const MACHINES: readonly Machine[] = [
  {
    node: 'ppc64',
    debian: 'ppc64el',
    qemu: 'ppc64le',
    compiler: 'powerpc64le-linux-gnu-gcc',
    cpu: 'power10',
  },
  { node: 's390x', debian: 's390x', qemu: 's390x', compiler: 's390x-linux-gnu-gcc', cpu: 'max' },
];

interface Wanted {
  readonly suite: string;
  /** Their dependencies come along. */
  readonly packages: readonly string[];
}

/** The files of Debian's packages for a machine, unpacked once below dist. Throws when the archive does not give them. */
export function debianRoot({ debian }: Machine, { suite, packages }: Wanted = NODE_24): string {
  const kept = `${ROOT}/dist/node-root-${debian}-${suite}`;
  if (existsSync(kept)) return kept;
  const work = `${ROOT}/dist/.node-root-${debian}-${process.pid}`;
  try {
    const options = aptOptions(work, { architecture: debian, suite });
    must(['apt-get', ...options, 'update', '-qq']);
    must(['apt-get', ...options, 'install', '--download-only', '-y', '-qq', ...packages]);
    mkdirSync(`${work}/root`);
    const archives = `${work}/cache/archives`;
    for (const file of readdirSync(archives).filter((name) => name.endsWith('.deb')))
      must(['dpkg-deb', '-x', `${archives}/${file}`, `${work}/root`]);
    // What the package base-files would do, which is not needed otherwise.
    for (const name of ['lib', 'lib64', 'bin', 'sbin'])
      if (existsSync(`${work}/root/usr/${name}`)) link(`usr/${name}`, `${work}/root/${name}`);
    renameSync(`${work}/root`, kept);
    return kept;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function link(target: string, path: string): void {
  if (!existsSync(path)) symlinkSync(target, path);
}

/** apt for another machine in folders of its own: this machine's lists and packages stay as they are. */
function aptOptions(
  folder: string,
  { architecture, suite }: { architecture: string; suite: string },
): string[] {
  for (const name of ['state/lists/partial', 'cache/archives/partial', 'etc/preferences.d'])
    mkdirSync(`${folder}/${name}`, { recursive: true });
  writeFileSync(`${folder}/state/status`, '');
  const source = `deb [signed-by=${KEYRING}] http://deb.debian.org/debian ${suite} main\n`;
  writeFileSync(`${folder}/etc/sources.list`, source);
  return [
    `APT::Architecture=${architecture}`,
    `APT::Architectures=${architecture}`,
    `Dir::State=${folder}/state`,
    `Dir::State::status=${folder}/state/status`,
    `Dir::Cache=${folder}/cache`,
    `Dir::Etc=${folder}/etc`,
    'Dir::Etc::sourceparts=-',
    'APT::Install-Recommends=false',
    'APT::Sandbox::User=root',
    'Acquire::Languages=none',
  ].flatMap((option) => ['-o', option]);
}

export const STAND_IN = `${import.meta.dir}/ffi-stand-in.mjs`;

/** Compiles the addon that stands in for `node:ffi`. */
export function compileStandIn({ compiler }: Machine, to: string): void {
  must([
    compiler,
    '-shared',
    '-fPIC',
    '-O2',
    '-Wall',
    '-Werror',
    '-o',
    to,
    `${import.meta.dir}/ffi-stand-in.c`,
  ]);
}

/** argv and environment that run a program of Node's on a machine, by the emulation of its system calls. */
export function emulated(machine: Machine, folder: string): { argv: string[]; env: Record<string, string> } {
  const root = debianRoot(machine);
  const addon = `${folder}/ffi-${machine.qemu}.node`;
  if (!existsSync(addon)) compileStandIn(machine, addon);
  const emulator = [`qemu-${machine.qemu}`, '-cpu', machine.cpu, '-L', root];
  return { argv: [...emulator, `${root}/usr/bin/node`, '--import', STAND_IN], env: { FFI_STAND_IN: addon } };
}
