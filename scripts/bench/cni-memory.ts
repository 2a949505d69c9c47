// What the plugin processes below this one hold in memory, from /proc while they live.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Peaks, MiB. */
export interface MemoryPeaks {
  /** Resident set of the largest process, with the pages of its executable that others share (VmHWM). */
  readonly largestRss: number;
  /** Memory of its own of the largest process: not backed by a file. */
  readonly largestAnonymous: number;
  /** Of all at one moment, shared pages counted once (Pss). */
  readonly sumPss: number;
  readonly sumAnonymous: number;
  /** Most processes at one moment. */
  readonly processes: number;
}

/** Samples everything below this process again and again until `work` is done. */
export async function watchMemory(work: () => Promise<unknown>): Promise<MemoryPeaks> {
  let running = true;
  const done = work().finally(() => {
    running = false;
  });
  let peaks: MemoryPeaks = { largestRss: 0, largestAnonymous: 0, sumPss: 0, sumAnonymous: 0, processes: 0 };
  while (running) {
    peaks = highest(peaks, sample());
    await new Promise((resolve) => setImmediate(resolve));
  }
  await done;
  return peaks;
}

export function highest(a: MemoryPeaks, b: MemoryPeaks): MemoryPeaks {
  return {
    largestRss: Math.max(a.largestRss, b.largestRss),
    largestAnonymous: Math.max(a.largestAnonymous, b.largestAnonymous),
    sumPss: Math.max(a.sumPss, b.sumPss),
    sumAnonymous: Math.max(a.sumAnonymous, b.sumAnonymous),
    processes: Math.max(a.processes, b.processes),
  };
}

function sample(): MemoryPeaks {
  const each = descendants().flatMap((pid) => {
    const status = fields(pid, 'status');
    const rollup = fields(pid, 'smaps_rollup');
    // A process between its last page and its parent's wait has none left.
    const [rss, pss, anonymous] = [status('VmHWM'), rollup('Pss'), rollup('Anonymous')];
    return Number.isNaN(rss + pss + anonymous) ? [] : [{ rss, pss, anonymous }];
  });
  const sum = (key: 'pss' | 'anonymous') => each.reduce((total, one) => total + one[key], 0);
  return {
    largestRss: Math.max(0, ...each.map(({ rss }) => rss)),
    largestAnonymous: Math.max(0, ...each.map(({ anonymous }) => anonymous)),
    sumPss: sum('pss'),
    sumAnonymous: sum('anonymous'),
    processes: each.length,
  };
}

/**
 * Children of this process, and theirs, that run a program of their own already: between fork and exec they show the
 * memory of their parent.
 */
function descendants(): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    const stat = /^\d+$/.test(name) ? tryRead(`/proc/${name}/stat`) : undefined;
    // The name in parentheses may hold anything; behind the last one: state, parent.
    const parent = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[1];
    if (parent !== undefined) parents.set(Number(name), Number(parent));
  }
  const below = (pid: number): boolean => {
    const parent = parents.get(pid);
    return parent !== undefined && (parent === process.pid || below(parent));
  };
  return [...parents]
    .filter(([pid, parent]) => below(pid) && program(pid) !== program(parent))
    .map(([pid]) => pid);
}

function program(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/exe`);
  } catch {
    return undefined;
  }
}

/** Values of a `key: n kB` file, MiB; NaN when the process is gone. */
function fields(pid: number, file: string): (key: string) => number {
  const text = tryRead(`/proc/${pid}/${file}`) ?? '';
  return (key) => Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? Number.NaN) / 1024;
}

function tryRead(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
