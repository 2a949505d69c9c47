import { readFileSync, writeFileSync } from 'node:fs';

/**
 * Sets a sysctl by its path below /proc/sys; writes only a different value. False when it cannot be set: there is none, or
 * /proc/sys is read-only (a container without privileges).
 */
export function setSysctl(path: string, value: string): boolean {
  if (readSysctl(path) === value) return true;
  try {
    writeFileSync(`/proc/sys/${path}`, value);
    return true;
  } catch {
    return false;
  }
}

/** The value without its newline; undefined when there is no such sysctl. */
export function readSysctl(path: string): string | undefined {
  try {
    return readFileSync(`/proc/sys/${path}`, 'utf8').trim();
  } catch {
    return undefined;
  }
}
