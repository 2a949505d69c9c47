import { constants } from 'node:fs';
import { mkdir, open, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { describe, hasErrno } from '#base/errors.ts';
import type { Lease } from '../lease.ts';
import {
  parseEnd,
  parseHead,
  parseLease,
  renderEnd,
  renderHead,
  renderLease,
  type Snapshot,
  type SnapshotOwner,
  UnusableSnapshot,
} from './snapshot.ts';

/** A file longer than this is not read, bytes: 10,000 nodes in both families take 5 MB. */
const MAX_FILE = 64 << 20;
/** The longest line, bytes: two times 4 KiB of backend data, escaped. */
const MAX_LINE = 64 << 10;
/** Read and written at once, bytes: between two pieces the agent does its other work. */
const PIECE = 64 << 10;

export type SnapshotRead =
  | { readonly snapshot: Snapshot }
  /** Why there is none, for one log line; `missing` when there is simply no file. */
  | { readonly snapshot: undefined; readonly reason: string; readonly missing: boolean };

/** Reads the file if it is whole, ours, and fits `owner`: nothing in it is trusted. Never rejects. */
export async function readSnapshot(path: string, owner: SnapshotOwner): Promise<SnapshotRead> {
  try {
    // Not through a symbolic link; and a pipe in the file's place shall not hold us up.
    const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      await checkFile(handle);
      return { snapshot: await parse(handle, owner) };
    } finally {
      await handle.close();
    }
  } catch (error) {
    const missing = hasErrno(error, 'ENOENT');
    return { snapshot: undefined, missing, reason: missing ? 'there is none' : describe(error) };
  }
}

async function checkFile(handle: FileHandle): Promise<void> {
  const stat = await handle.stat();
  if (!stat.isFile()) throw new UnusableSnapshot('it is no file');
  if (stat.size > MAX_FILE) throw new UnusableSnapshot(`it is longer than ${MAX_FILE} bytes`);
  if (stat.uid !== process.geteuid?.() || (stat.mode & 0o022) !== 0)
    throw new UnusableSnapshot('others may have written it: its owner or mode is not as we make it');
}

async function parse(handle: FileHandle, owner: SnapshotOwner): Promise<Snapshot> {
  const hash = new Bun.CryptoHasher('sha256');
  const leases = new Map<string, Lease>();
  let own: Snapshot['own'] | undefined;
  let end: ReturnType<typeof parseEnd>;
  let count = 0;
  for await (const text of lines(handle)) {
    if (end !== undefined) throw new UnusableSnapshot('something stands behind its last line');
    end = parseEnd(text);
    if (end !== undefined) continue;
    hash.update(text).update('\n');
    if (own === undefined) {
      own = parseHead(text, owner);
      continue;
    }
    const lease = parseLease(text, owner);
    count += 1;
    if (lease.name !== own.name) leases.set(lease.name, lease);
  }
  if (own === undefined || end === undefined) throw new UnusableSnapshot('it breaks off');
  if (end.peers !== count || end.sha256 !== hash.digest('hex')) throw new UnusableSnapshot('it is damaged');
  return { own, leases };
}

/** The lines of the file without their ends. What stands behind the last one is a line, too. */
async function* lines(handle: FileHandle): AsyncGenerator<string> {
  const buffer = Buffer.alloc(PIECE + MAX_LINE);
  let held = 0;
  for (let total = 0; ;) {
    const { bytesRead } = await handle.read(buffer, held, PIECE, null);
    if (bytesRead === 0) break;
    total += bytesRead;
    if (total > MAX_FILE) throw new UnusableSnapshot(`it is longer than ${MAX_FILE} bytes`);
    const filled = held + bytesRead;
    let at = 0;
    for (let to = buffer.indexOf(10, at); to >= 0 && to < filled; to = buffer.indexOf(10, at)) {
      yield buffer.toString('utf8', at, to);
      at = to + 1;
    }
    buffer.copyWithin(0, at, filled);
    held = filled - at;
    if (held > MAX_LINE) throw new UnusableSnapshot('it has a line that is too long');
  }
  if (held > 0) yield buffer.toString('utf8', 0, held);
}

/**
 * Writes the file, mode 0600, so that a reader sees the old or the new one; returns its length in bytes. `snapshot` may
 * change meanwhile: each peer is written as it is when its turn comes. Throws what the file system says.
 */
export async function writeSnapshot(path: string, owner: SnapshotOwner, snapshot: Snapshot): Promise<number> {
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  const temporary = `${path}.tmp`;
  await rm(temporary, { force: true });
  try {
    const handle = await open(temporary, 'wx', 0o600);
    let length: number;
    try {
      length = await stream(handle, owner, snapshot);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
    await syncFolder(dirname(path));
    return length;
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw error;
  }
}

async function stream(handle: FileHandle, owner: SnapshotOwner, { own, leases }: Snapshot): Promise<number> {
  const hash = new Bun.CryptoHasher('sha256');
  let piece = renderHead(owner, own, new Date());
  let [count, length] = [0, 0];
  const flush = async (): Promise<void> => {
    const bytes = Buffer.from(piece);
    piece = '';
    hash.update(bytes);
    length += await writeAll(handle, bytes);
  };
  for (const lease of leases.values()) {
    piece += renderLease(lease);
    count += 1;
    if (piece.length >= PIECE) await flush();
  }
  await flush();
  return length + (await writeAll(handle, Buffer.from(renderEnd(count, hash.digest('hex')))));
}

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<number> {
  for (let at = 0; at < bytes.length;) at += (await handle.write(bytes, at, bytes.length - at)).bytesWritten;
  return bytes.length;
}

/** Makes the rename durable. */
async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
