import { readFileSync } from 'node:fs';

/**
 * System calls by which a plugin changes anything or lets others do so, the netlink sends among them. A kill before each of
 * them and before the output at the end meets every state that a plugin can leave behind.
 */
const CALLS = [
  'sendto',
  'openat',
  'write',
  'rename',
  'link',
  'unlink',
  'mkdir',
  'rmdir',
  'flock',
  'ftruncate',
  'fsync',
  'fdatasync',
  'setns',
];

export interface KillPoint {
  readonly call: string;
  /** The how manyeth of its kind, counted from the start of the process. */
  readonly nth: number;
  /** As strace shows it. */
  readonly line: string;
}

export interface TracedCall {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string;
}

/** The kill points of one call of a plugin behind the reading of its configuration; the call runs to its end. */
export function findKillPoints(call: TracedCall, log: string): KillPoint[] {
  const done = start(['strace', '-o', log, '-s', '60', '-e', `trace=read,${CALLS.join(',')}`], call);
  if (done.exitCode !== 0) throw new Error(`${call.argv.join(' ')}: ${done.stdout.toString()}`);
  const counts = new Map<string, number>();
  const points: KillPoint[] = [];
  let reading = false;
  for (const line of readFileSync(log, 'utf8').split('\n')) {
    if (line.startsWith('read(0,')) reading = true;
    const name = /^[a-z0-9_]+/.exec(line)?.[0] ?? '';
    if (!CALLS.includes(name)) continue;
    const nth = (counts.get(name) ?? 0) + 1;
    counts.set(name, nth);
    if (reading) points.push({ call: name, nth, line });
  }
  return points;
}

/** Runs the call and kills it at the point; false when it ended by itself: the runtime's own calls vary a little. */
export function killAt(call: TracedCall, { call: name, nth }: KillPoint): boolean {
  const inject = `inject=${name}:signal=KILL:when=${nth}`;
  const done = start(['strace', '-o', '/dev/null', '-e', `trace=${name}`, '-e', inject], call);
  return done.exitCode !== 0;
}

/** Without `-f`: a plugin does all of its work in its main thread. */
function start(strace: readonly string[], { argv, env, stdin }: TracedCall) {
  return Bun.spawnSync([...strace, ...argv], {
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdin: Buffer.from(stdin),
    stdout: 'pipe',
    stderr: 'pipe',
  });
}
