import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { LabState } from '#lab/state/state.ts';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** As `npm run lab --`, npm left out. */
export const LAB = ['node', `${ROOT}scripts/lab.mjs`] as const;

export interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs a lab command to its end, standard output not a terminal. */
export function lab(...args: readonly string[]): Outcome {
  return outcomeOf([...LAB, ...args]);
}

export function outcomeOf(argv: readonly string[], env: NodeJS.ProcessEnv = process.env): Outcome {
  const [program = '', ...rest] = argv;
  const done = spawnSync(program, rest, { encoding: 'utf8', timeout: 60_000, env, cwd: '/' });
  return { code: done.status, out: done.stdout, err: done.stderr };
}

export function stateOf(name: string): LabState {
  return JSON.parse(readFileSync(`/run/flannel-lab/${name}/state.json`, 'utf8')) as LabState;
}

/** What the machine shows outside of all namespaces; a lab must leave it as it was. */
export interface Machine {
  readonly links: readonly string[];
  readonly mounts: readonly string[];
  readonly run: readonly string[];
  readonly tables: string;
}

export function machine(): Machine {
  return {
    links: readdirSync('/sys/class/net').toSorted(),
    mounts: readFileSync('/proc/self/mounts', 'utf8').trim().split('\n').toSorted(),
    run: readdirSync('/run').toSorted(),
    tables: outcomeOf(['nft', 'list', 'tables']).out,
  };
}

/** Everything in `after` that `before` does not have and that carries one of the lab's own words. */
export function additions(before: Machine, after: Machine): string[] {
  const own = /flannel|switch|to-world|overlay|^n\d+$/;
  const fresh = (key: 'links' | 'mounts' | 'run') =>
    after[key].filter((item) => !before[key].includes(item) && own.test(item));
  const tables = after.tables
    .split('\n')
    .filter((line) => /flannel/.test(line) && !before.tables.includes(line));
  return [...fresh('links'), ...fresh('mounts'), ...fresh('run'), ...tables];
}

/** Identity of every network and mount namespace that a process of the lab is in. */
export function namespacesOf(name: string): Set<string> {
  return new Set(
    processesOf(name).flatMap((pid) => ['net', 'mnt'].flatMap((kind) => namespaceOf(pid, kind) ?? [])),
  );
}

/** Every namespace of every process of the machine. */
export function allNamespaces(): Set<string> {
  return new Set(pids().flatMap((pid) => ['net', 'mnt'].flatMap((kind) => namespaceOf(pid, kind) ?? [])));
}

export function namespaceOf(pid: number | 'self', kind: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/${kind}`);
  } catch {
    return undefined;
  }
}

export function processesOf(name: string): number[] {
  return pids().filter((pid) => {
    try {
      const environment = readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0');
      return environment.includes(`FLANNEL_LAB=/run/flannel-lab/${name}`);
    } catch {
      return false;
    }
  });
}

function pids(): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number);
}
