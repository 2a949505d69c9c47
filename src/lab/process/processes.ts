import { readdirSync, readFileSync } from 'node:fs';
import { MARK_VARIABLE } from '../state/paths.ts';

/** Process ids that carry the mark of the lab in `folder`. Processes we may not look into are not ours. */
export function labProcesses(folder: string): number[] {
  const mark = `${MARK_VARIABLE}=${folder}`;
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => pid !== process.pid && hasMark(pid, mark));
}

/** True when `pid` lives and belongs to the lab in `folder`. */
export function isLabProcess(pid: number, folder: string): boolean {
  return hasMark(pid, `${MARK_VARIABLE}=${folder}`);
}

function hasMark(pid: number, mark: string): boolean {
  try {
    // A zombie's environment is empty, so the dead do not count.
    return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(mark);
  } catch {
    return false;
  }
}

/** Kills every process of the lab, those born meanwhile too; returns how many there were. */
export function killLabProcesses(folder: string, sleep: (ms: number) => void): number {
  const seen = new Set<number>();
  for (let round = 0; round < 200; round += 1) {
    const alive = labProcesses(folder);
    if (alive.length === 0) return seen.size;
    for (const pid of alive) {
      seen.add(pid);
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // Gone between the look and the kill.
      }
    }
    sleep(10);
  }
  return seen.size;
}
