import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { systemClock } from '#base/clock.ts';
import { FlannelError, hasErrno, isExists } from '#base/errors.ts';
import { tryLockExclusive } from '#ffi/file.ts';
import { isLabProcess, labProcesses } from '../process/processes.ts';
import { innerArgv, labEnvironment } from '../process/run.ts';
import type { Screen } from '../report/screen.ts';
import { parseProgress, type ProgressEvent } from '../serve/progress.ts';
import type { ServeOptions } from '../serve/main.ts';
import { refuseWithoutRoot } from '../state/owner.ts';
import { labPaths, type LabPaths } from '../state/paths.ts';
import { readState } from '../state/state.ts';
import { removeLab } from './down.ts';
import type { UpOptions } from './options.ts';

/** The whole of `up`, nodes included. */
const LIMIT_MS = 180_000;

/** A lab that has been started and may not be ready. */
export interface StartedLab {
  readonly paths: LabPaths;
  readonly serve: Serve;
}

/** Starts the lab process, or says that a lab of this name runs already. `original`: nodes as the original leaves them. */
export function startLab(options: UpOptions, screen: Screen, original = false): StartedLab {
  const paths = labPaths(options.name, process.env);
  refuseWithoutRoot(paths);
  const traffic = trafficFor(options);
  if (options.traffic === 'auto' && traffic === 'nftables')
    screen.line('iptables-restore is not installed: the nodes use nftables');
  return { paths, serve: claim(paths, () => startServe(paths, { options, traffic, original })) };
}

/** iptables mode needs its programs; the kernel interface of nftables needs none. */
function trafficFor(options: UpOptions): 'iptables' | 'nftables' {
  if (options.traffic !== 'auto') return options.traffic;
  const { PATH } = labEnvironment('');
  return Bun.which('iptables-restore', { PATH: PATH ?? '' }) === null ? 'nftables' : 'iptables';
}

interface Serve {
  readonly pid: number;
  readonly exitCode: number | null;
}

/**
 * Makes the lab's folder and runs `start`, or says that the lab runs already. What a killed lab of this name left is
 * removed first. A lock on the root folder keeps two `up` apart.
 */
function claim<T>(paths: LabPaths, start: () => T): T {
  mkdirSync(paths.root, { recursive: true, mode: 0o755 });
  const lock = openSync(paths.root, 'r');
  try {
    if (!tryLockExclusive(lock))
      throw new FlannelError('operator', 'another `lab up` is at work', {
        cure: 'Wait for it and try again',
      });
    if (existsSync(paths.folder)) {
      refuseRunning(paths);
      removeLab(paths);
    }
    try {
      mkdirSync(paths.folder, { mode: 0o700, recursive: true });
    } catch (error) {
      if (!isExists(error)) throw error;
    }
    return start();
  } finally {
    closeSync(lock);
  }
}

/** A lab whose process lives, or has just been started and has not written its state yet. */
function refuseRunning(paths: LabPaths): void {
  const pid = existsSync(paths.state) ? readState(paths.state)?.pid : labProcesses(paths.folder)[0];
  if (pid === undefined || !isLabProcess(pid, paths.folder)) return;
  const name = paths.name === 'lab' ? '' : ` --name ${paths.name}`;
  throw new FlannelError('operator', `lab "${paths.name}" is already running (process ${pid})`, {
    cure: `Use it, end it with \`flannelctl lab down${name}\`, or start another with --name`,
  });
}

/** The lab process: a session of its own, in a network namespace of its own. */
function startServe(paths: LabPaths, options: ServeOptions): Serve {
  writeFileSync(paths.progress, '', { mode: 0o600 });
  const log = openSync(paths.log, 'a', 0o600);
  try {
    return Bun.spawn(['unshare', '--net', '--', ...innerArgv('__serve', JSON.stringify(options))], {
      stdin: 'ignore',
      stdout: log,
      stderr: log,
      env: labEnvironment(paths.folder),
      detached: true,
    });
  } finally {
    closeSync(log);
  }
}

/** Shows how the lab grows; returns when every node is Ready and every pod answers. */
export async function followLab({ paths, serve }: StartedLab, screen: Screen): Promise<void> {
  const start = performance.now();
  let from = 0;
  for (;;) {
    const ended = serve.exitCode !== null;
    const { events, next } = parseProgress(readProgress(paths), from);
    from = next;
    for (const event of events) if (show(event, screen)) return;
    if (ended || performance.now() - start > LIMIT_MS) throw silent(paths, ended);
    await systemClock.sleep(30);
  }
}

/** Shows one event; true when the lab is ready. */
function show(event: ProgressEvent, screen: Screen): boolean {
  const at = (ms: number) => screen.paint('dim', `${(ms / 1000).toFixed(2).padStart(6)} s`);
  switch (event.type) {
    case 'step':
      screen.line(`${at(event.ms)}  ${event.text}`);
      return false;
    case 'ready':
      screen.line(`${at(event.ms)}  ${screen.paint('green', 'the lab is up')}`);
      return true;
    case 'failed':
      throw new FlannelError(
        'operator',
        `the lab cannot be built: ${event.message}`,
        event.cure === undefined ? {} : { cure: event.cure },
      );
  }
}

function readProgress(paths: LabPaths): Uint8Array {
  try {
    return readFileSync(paths.progress);
  } catch (error) {
    // `down` from another terminal.
    if (hasErrno(error, 'ENOENT')) return new Uint8Array(0);
    throw error;
  }
}

function silent(paths: LabPaths, ended: boolean): FlannelError {
  let tail = '';
  try {
    tail = readFileSync(paths.log, 'utf8').trimEnd().split('\n').slice(-3).join(' | ');
  } catch {
    tail = 'its folder is gone';
  }
  const what = ended ? 'the lab process ended' : `the lab was not ready within ${LIMIT_MS / 1000} s`;
  return new FlannelError('operator', `${what}: ${tail}`);
}
