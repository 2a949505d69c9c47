import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { hasErrno } from '#base/errors.ts';
import { isIdentifier } from '../environment.ts';
import { sortedJson, type JsonObject } from '../json.ts';
import { isDelegateConfig } from './config.ts';

/**
 * Keeps the delegate configuration of a container for its DEL, mode 0600. A reader sees all of it or nothing; after a power
 * cut it may be damaged, which costs nothing, since DEL can do without it: waiting for the disk here would.
 */
export function saveScratch(dataDir: string, containerId: string, delegate: JsonObject): void {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  // A dot in front: no container ID looks like that.
  const temporary = `${dataDir}/.${containerId}.${process.pid}`;
  const fd = openSync(temporary, 'w', 0o600);
  try {
    const bytes = Buffer.from(sortedJson(delegate));
    for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, `${dataDir}/${containerId}`);
}

/** What ADD kept for the container in `network`; undefined when there is nothing, or nothing usable. */
export function loadScratch(dataDir: string, containerId: string, network: string): JsonObject | undefined {
  let text: string;
  try {
    text = readFileSync(`${dataDir}/${containerId}`, 'utf8');
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
  try {
    const value: unknown = JSON.parse(text);
    return isDelegateConfig(value, network) ? value : undefined;
  } catch {
    return undefined;
  }
}

export function removeScratch(dataDir: string, containerId: string): void {
  try {
    unlinkSync(`${dataDir}/${containerId}`);
  } catch (error) {
    if (!hasErrno(error, 'ENOENT')) throw error;
  }
}

/** Containers with a kept configuration; none when the folder is missing. */
export function listScratch(dataDir: string): string[] {
  try {
    return readdirSync(dataDir).filter(isIdentifier);
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return [];
    throw error;
  }
}
