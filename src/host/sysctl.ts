import { readFileSync, writeFileSync } from 'node:fs';
import type { Family } from '#net/family.ts';

/**
 * Sets `net.<family>.conf.<link>.<key>`; writes only a different value. False when it cannot be set: the link or the
 * family is missing, or /proc/sys is read-only (a container without privileges).
 */
export function setLinkSysctl(
  family: Family,
  link: string,
  setting: { key: string; value: string },
): boolean {
  return setSysctl(`net/${family}/conf/${link}/${setting.key}`, setting.value);
}

/** Sets a sysctl by its path below /proc/sys. */
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
