// A Debian 12 for machines that run another system, such as a CI service's, as root:
//
//   node scripts/debian-root.mjs make <folder>             debootstrap, packages checked against Debian's keys, this Node copied
//   node scripts/debian-root.mjs run <folder> <command>    runs a command there, in this checkout
//
// The command gets a mount namespace whose root is that folder: not a chroot, because container runtimes refuse to start in one.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, realpathSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const self = fileURLToPath(import.meta.url);
const sources = dirname(dirname(self));
const MIRROR = 'http://deb.debian.org/debian';
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
/** Where the checkout is inside. */
const INSIDE = '/srv/flannel';

function must(command, ...args) {
  const done = spawnSync(command, args, { stdio: 'inherit' });
  if (done.error) throw new Error(`${command}: ${done.error.message}`);
  if (done.status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${done.status}`);
}

function make(folder) {
  must('apt-get', 'update', '-qq');
  must('apt-get', 'install', '-y', '-qq', '--no-install-recommends', 'debootstrap', 'debian-archive-keyring');
  const include = '--include=ca-certificates,debian-archive-keyring,git,kmod,procps';
  must('debootstrap', '--variant=minbase', `--keyring=${KEYRING}`, include, 'bookworm', folder, MIRROR);
  const updates = [
    `deb ${MIRROR} bookworm main`,
    `deb ${MIRROR} bookworm-updates main`,
    `deb ${MIRROR}-security bookworm-security main`,
  ];
  writeFileSync(join(folder, 'etc/apt/sources.list'), `${updates.join('\n')}\n`);
  copyNode(folder);
}

/** Debian 12 has Node 18; the one that runs this is newer and brings its libraries along, as Node's own builds do. */
function copyNode(folder) {
  const npm = join(dirname(dirname(realpathSync(process.execPath))), 'lib/node_modules/npm');
  if (!existsSync(npm)) throw new Error(`${npm} is not there: this Node is not one of Node's own builds`);
  cpSync(realpathSync(process.execPath), join(folder, 'usr/local/bin/node'));
  cpSync(npm, join(folder, 'usr/local/lib/node_modules/npm'), { recursive: true });
  for (const name of ['npm', 'npx'])
    must('ln', '-sfn', `../lib/node_modules/npm/bin/${name}-cli.js`, join(folder, 'usr/local/bin', name));
}

/** In the new mount namespace: makes `folder` the root and runs the command. Returns its exit code. */
function enter(folder, command, args) {
  must('mount', '--bind', folder, folder);
  for (const name of ['dev', 'proc', 'sys']) must('mount', '--rbind', `/${name}`, join(folder, name));
  for (const name of ['run', 'tmp']) must('mount', '-t', 'tmpfs', 'tmpfs', join(folder, name));
  cpSync(realpathSync('/etc/resolv.conf'), join(folder, 'etc/resolv.conf'));
  mkdirSync(join(folder, INSIDE), { recursive: true });
  must('mount', '--bind', sources, join(folder, INSIDE));
  mkdirSync(join(folder, 'run/old'));
  must('pivot_root', folder, join(folder, 'run/old'));
  process.chdir('/');
  must('umount', '--lazy', '/run/old');
  rmdirSync('/run/old');
  const env = {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: '/root',
    LANG: 'C.UTF-8',
    // The checkout belongs to whoever fetched it.
    GIT_CONFIG_COUNT: '1',
    GIT_CONFIG_KEY_0: 'safe.directory',
    GIT_CONFIG_VALUE_0: INSIDE,
  };
  const done = spawnSync(command, args, { stdio: 'inherit', cwd: INSIDE, env });
  if (done.error) throw new Error(`${command}: ${done.error.message}`);
  return done.status ?? 1;
}

function main([action, folder, command, ...args]) {
  if (process.getuid() !== 0) throw new Error('needs root');
  if (action === 'make' && folder !== undefined) {
    make(resolve(folder));
    return 0;
  }
  if (command === undefined) throw new Error('usage: debian-root.mjs make <folder> | run <folder> <command>');
  if (action === '__enter') return enter(folder, command, args);
  const inner = [process.execPath, self, '__enter', resolve(folder), command, ...args];
  const done = spawnSync('unshare', ['--mount', '--propagation=private', '--', ...inner], {
    stdio: 'inherit',
  });
  return done.status ?? 1;
}

try {
  process.exitCode = main(process.argv.slice(2));
} catch (error) {
  console.error(`debian-root: ${error.message}`);
  process.exitCode = 1;
}
