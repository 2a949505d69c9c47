// `npm run lab [-- <command> ...]`: installs and builds what is missing or older than its sources, then runs the compiled
// lab. Without root, or as a root without its rights (a container's), it runs in a user namespace of its own, which later
// commands of the same user join.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { root } from './bun.mjs';
import { ensureBuild, ensureModules } from './ensure.mjs';

/** util-linux's. */
const UNSHARE = 'unshare';
const flannelctl = `${root}dist/bin/flannelctl`;

/** Exit code of a finished child: 128 + signal as a shell has it. */
function codeOf(done, name) {
  if (done.error) {
    const missing = done.error.code === 'ENOENT';
    console.error(`lab: ${missing ? `${name} is missing` : `${name}: ${done.error.message}`}`);
    return 1;
  }
  return done.status ?? { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 }[done.signal] ?? 1;
}

/** The command as the lab reads it: the first word, or none. */
const commandOf = (args) => (args[0]?.startsWith('-') ? undefined : args[0]);

/** A command that starts a lab, rather than joining one. */
const starts = (args) => ['run', 'up', 'migrate', undefined].includes(commandOf(args));

function labName(args) {
  const end = args.indexOf('--');
  const own = end < 0 ? args : args.slice(0, end);
  const at = own.findIndex((arg) => /^--?name(=|$)/.test(arg));
  if (at < 0) return 'lab';
  return own[at].includes('=') ? own[at].slice(own[at].indexOf('=') + 1) : (own[at + 1] ?? '');
}

/** The process of a running lab of this user, whose namespaces other commands enter. */
function runningPid(folder, name) {
  try {
    return JSON.parse(readFileSync(`${folder}/${name}/state.json`, 'utf8')).pid;
  } catch {
    return undefined;
  }
}

/** Why this kernel gives no namespaces to ordinary users, in one line. */
function whyNot(stderr) {
  const read = (path) => {
    try {
      return readFileSync(path, 'utf8').trim();
    } catch {
      return undefined;
    }
  };
  if (read('/proc/sys/kernel/unprivileged_userns_clone') === '0')
    return 'sysctl kernel.unprivileged_userns_clone is 0';
  if (read('/proc/sys/user/max_user_namespaces') === '0') return 'sysctl user.max_user_namespaces is 0';
  if (read('/proc/sys/kernel/apparmor_restrict_unprivileged_userns') === '1')
    return 'sysctl kernel.apparmor_restrict_unprivileged_userns is 1';
  return stderr.trim().split('\n').at(-1) || 'unshare -Urnm fails';
}

function runWithoutRoot(args) {
  const folder = `${process.env.XDG_RUNTIME_DIR ?? tmpdir()}/flannel-lab-${process.getuid()}`;
  const env = { ...process.env, FLANNEL_LAB_ROOT: folder };
  const run = (argv) => codeOf(spawnSync(argv[0], argv.slice(1), { stdio: 'inherit', env }), argv[0]);
  const pid = runningPid(folder, labName(args));
  const alive = pid !== undefined && existsSync(`/proc/${pid}/ns/user`);
  if (alive) {
    // Its user namespace gives the right to enter all that it has made.
    // The page is listened for where the browser is; its process enters the lab's network by itself.
    const net = commandOf(args) === 'page' ? [] : ['--net'];
    const enter = ['nsenter', `--target=${pid}`, '--user', '--mount', ...net, '--preserve-credentials', '--'];
    return run([...enter, flannelctl, 'lab', ...args]);
  }
  if (!starts(args)) return run([flannelctl, 'lab', ...args]);
  const tried = spawnSync(UNSHARE, ['-Urnm', 'true'], { encoding: 'utf8' });
  if (tried.error || tried.status !== 0) {
    console.error(`lab: needs root, or user namespaces for ordinary users: ${whyNot(tried.stderr ?? '')}`);
    return 1;
  }
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const code = run([UNSHARE, '-Urnm', flannelctl, 'lab', ...args]);
  try {
    rmdirSync(folder);
  } catch {
    // A lab lives there, or it is gone already.
  }
  return code;
}

const args = process.argv.slice(2);
process.exitCode = ensureModules() && (await ensureBuild()) ? 0 : 1;
if (process.exitCode === 0) {
  // Ctrl-C goes to the whole process group: the lab cleans up, this process waits for it.
  for (const signal of ['SIGINT', 'SIGHUP']) process.on(signal, () => {});
  process.exitCode =
    process.getuid() === 0 && spawnSync(UNSHARE, ['-nm', 'true']).status === 0
      ? codeOf(spawnSync(flannelctl, ['lab', ...args], { stdio: 'inherit' }), flannelctl)
      : runWithoutRoot(args);
}
