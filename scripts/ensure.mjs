// What a fresh clone lacks, installed once and named: npm packages, Debian packages, the build.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { basename } from 'node:path';
import { findBun, root } from './bun.mjs';

/** Debian packages that the tests use, by the program that shows them to be there. */
export const TEST_PACKAGES = [
  { name: 'iproute2', program: 'ip', why: 'makes test namespaces and says what the kernel holds' },
  { name: 'nftables', program: 'nft', why: 'reads back the rules that we write by netlink' },
  { name: 'iptables', program: 'iptables-restore', why: 'the iptables mode writes through it' },
  { name: 'ethtool', program: 'ethtool', why: 'shows and changes the offloads that we set by netlink' },
  {
    name: 'containernetworking-plugins',
    program: '/usr/lib/cni/bridge',
    why: 'the reference to compare CNI results with',
  },
  { name: 'containerd', program: 'containerd', why: 'runs real containers on our CNI plugins' },
  { name: 'runc', program: 'runc', why: 'with containerd and podman' },
  { name: 'podman', program: 'podman', why: 'a second runtime, whose CNI backend publishes ports' },
  { name: 'busybox-static', program: '/bin/busybox', why: 'is all that those containers hold' },
  { name: 'qemu-system-x86', program: 'qemu-system-x86_64', why: 'runs a kernel that filters VLANs' },
  { name: 'qemu-user', program: 'qemu-aarch64', why: 'runs the executable for arm64' },
  { name: 'qemu-system-misc', program: 'qemu-system-s390x', why: 'runs a big-endian kernel' },
  { name: 'gcc-s390x-linux-gnu', program: 's390x-linux-gnu-gcc', why: 'compares kernel constants of s390x' },
  { name: 'libc6-dev-s390x-cross', program: '/usr/s390x-linux-gnu/include/stdio.h', why: 'its C headers' },
  {
    name: 'gcc-powerpc64le-linux-gnu',
    program: 'powerpc64le-linux-gnu-gcc',
    why: 'compares kernel constants of ppc64le',
  },
  {
    name: 'libc6-dev-ppc64el-cross',
    program: '/usr/powerpc64le-linux-gnu/include/stdio.h',
    why: 'its C headers',
  },
  { name: 'e2fsprogs', program: 'mkfs.ext4', why: 'makes a disk to start the image from' },
  { name: 'cpio', program: 'cpio', why: 'packs the file system of that machine' },
  { name: 'strace', program: 'strace', why: 'kills a plugin at each of its system calls' },
  { name: 'kubernetes-client', program: 'kubectl', why: 'tries the lab API as a real client' },
  { name: 'golang-go', program: 'go', why: 'renders the Helm chart with the engine that Helm is made of' },
  {
    name: 'golang-github-masterminds-sprig-dev',
    program: '/usr/share/gocode/src/github.com/Masterminds/sprig/functions.go',
    why: 'the functions of its templates',
  },
  {
    name: 'golang-github-ghodss-yaml-dev',
    program: '/usr/share/gocode/src/github.com/ghodss/yaml/yaml.go',
    why: 'reads and writes their YAML',
  },
  {
    name: 'python3-jsonschema',
    program: '/usr/lib/python3/dist-packages/jsonschema/__init__.py',
    why: 'checks values against the schema of the chart',
  },
  { name: 'etcd-server', program: 'etcd', why: 'the store of the etcd subnet manager' },
  { name: 'etcd-client', program: 'etcdctl', why: 'looks into it as an operator does' },
  {
    name: 'prometheus',
    program: 'promtool',
    // Installed, it would start a service and bring the libraries of its pages along.
    unpack: ['usr/bin/promtool', 'usr/bin/prometheus'],
    why: 'checks alert rules and metrics; only unpacked, into dist/cache',
  },
  { name: 'systemd', program: 'systemd-analyze', why: 'reads the units' },
  { name: 'chromium', program: '/usr/bin/chromium', why: 'opens the page as people do' },
  {
    name: 'fonts-nanum',
    program: '/usr/share/fonts/truetype/nanum/NanumGothic.ttf',
    why: 'the Korean letters of its pictures',
  },
  { name: 'lintian', program: 'lintian', why: 'judges the Debian package' },
  { name: 'man-db', program: 'man', why: 'reads the manual pages' },
  { name: 'openssl', program: 'openssl', why: 'makes certificates for the TLS tests' },
  { name: 'gcc', program: 'gcc', why: 'compares kernel constants with the C headers' },
  { name: 'linux-libc-dev', program: '/usr/include/linux/rtnetlink.h', why: 'those headers' },
  { name: 'libc6-dev', program: '/usr/include/stdio.h', why: 'to compile that comparison' },
];

/** Finds a program in PATH and the folders of root's PATH. */
function found(program) {
  if (program.startsWith('/')) return existsSync(program);
  const path = `${process.env.PATH}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin`;
  return path.split(':').some((dir) => dir !== '' && existsSync(`${dir}/${program}`));
}

function run(command, args, options = {}) {
  const done = spawnSync(command, args, { stdio: 'inherit', cwd: root, ...options });
  return done.status ?? 1;
}

/** Where programs of a package are that is only unpacked. */
const unpackedIn = (name) => `${root}dist/cache/${name}`;

/** Downloads a package with the keys of apt, and takes the programs out of it. */
function unpack({ name, unpack: paths }) {
  const folder = unpackedIn(name);
  const staging = `${folder}.${process.pid}`;
  mkdirSync(`${staging}/all`, { recursive: true });
  try {
    const quiet = { cwd: staging, stdio: ['ignore', 'ignore', 'inherit'] };
    if (run('apt-get', ['download', '-qq', '-o', 'APT::Sandbox::User=root', name], quiet) !== 0) return false;
    const file = readdirSync(staging).find((entry) => entry.endsWith('.deb'));
    if (file === undefined || run('dpkg-deb', ['--extract', file, 'all'], quiet) !== 0) return false;
    mkdirSync(folder, { recursive: true });
    for (const path of paths) renameSync(`${staging}/all/${path}`, `${folder}/${basename(path)}`);
    return true;
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

const isThere = ({ name, program, unpack: paths }) =>
  paths === undefined
    ? found(program)
    : paths.every((path) => found(basename(path)) || existsSync(`${unpackedIn(name)}/${basename(path)}`));

/** Installs Debian packages that are missing; returns false with a clear list when it cannot. */
export function ensurePackages(packages) {
  const missing = packages.filter((wanted) => !isThere(wanted));
  if (missing.length === 0) return true;
  console.log('needed from Debian:');
  for (const { name, why } of missing) console.log(`  ${name.padEnd(28)} ${why}`);
  const names = missing.map(({ name }) => name);
  if (process.getuid() !== 0 || !found('apt-get')) {
    console.error(`install them first: sudo apt-get install ${names.join(' ')}`);
    return false;
  }
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const quiet = { env, stdio: ['ignore', 'ignore', 'inherit'] };
  run('apt-get', ['update', '-qq'], quiet);
  const install = missing.filter((wanted) => wanted.unpack === undefined).map(({ name }) => name);
  if (
    install.length > 0 &&
    run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...install], quiet) !== 0
  ) {
    console.error(`apt-get could not install ${install.join(' ')}`);
    return false;
  }
  for (const wanted of missing.filter((each) => each.unpack !== undefined)) {
    if (unpack(wanted)) continue;
    console.error(`apt-get could not download ${wanted.name}`);
    return false;
  }
  return true;
}

/** Runs `npm ci` unless node_modules is that of package-lock.json; false with the reason told when that fails. */
export function ensureModules() {
  const marker = `${root}node_modules/.package-lock.json`;
  if (existsSync(marker) && sameVersions(marker) && findBun() !== undefined) return true;
  console.log('installing the build tools: npm ci');
  // No install script is needed: Bun's executable comes along as a package of its own.
  const code = run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']);
  if (code !== 0) console.error('npm ci failed: is the npm registry reachable?');
  else if (findBun() === undefined)
    console.error(`there is no Bun for ${process.platform}-${process.arch} on npm`);
  return code === 0 && findBun() !== undefined;
}

function sameVersions(marker) {
  const installed = JSON.parse(readFileSync(marker, 'utf8')).packages;
  const wanted = JSON.parse(readFileSync(`${root}package-lock.json`, 'utf8')).packages;
  return Object.entries(wanted).every(
    ([name, entry]) => name === '' || entry.optional === true || installed[name]?.version === entry.version,
  );
}

/** Builds for this machine, or for another architecture, unless what is there is newer than the sources. */
export async function ensureBuild(arch) {
  const { build, upToDate } = await import('./build.mjs');
  return upToDate(arch) || build({ arch }) === 0;
}
