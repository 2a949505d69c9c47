import { existsSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { hasErrno } from '#base/errors.ts';
import { refuseForeign } from '../state/owner.ts';
import { killLabProcesses } from '../process/processes.ts';
import type { Screen } from '../report/screen.ts';
import { labPaths, type LabPaths } from '../state/paths.ts';

/** Removes a lab, also what a killed one left. Doing it twice is no mistake. */
export function down(name: string, screen: Screen): void {
  const paths = labPaths(name, process.env);
  const start = performance.now();
  const there = existsSync(paths.folder);
  refuseForeign(paths);
  const killed = removeLab(paths);
  const took = ((performance.now() - start) / 1000).toFixed(2);
  if (!there && killed === 0) {
    const others = existsSync(paths.root) ? readdirSync(paths.root) : [];
    const hint = others.length === 0 ? '' : `; running: ${others.join(', ')} (use --name)`;
    screen.line(`there is no lab "${name}"${hint}`);
    return;
  }
  screen.line(`lab "${name}" is gone: ${killed} processes ended, their namespaces with them (${took} s)`);
}

/**
 * Kills the lab's processes and removes its folder; returns how many processes there were. Namespaces, devices, routes
 * and rules need no hand: they exist only as long as a process is in them.
 */
export function removeLab(paths: LabPaths): number {
  const killed = killLabProcesses(paths.folder, Bun.sleepSync);
  rmSync(paths.folder, { recursive: true, force: true });
  try {
    rmdirSync(paths.root);
  } catch (error) {
    // Another lab lives there.
    const expected = (['ENOENT', 'EBUSY'] as const).some((name) => hasErrno(error, name));
    if (!expected && !(error instanceof Error && 'code' in error && error.code === 'ENOTEMPTY')) throw error;
  }
  return killed;
}
