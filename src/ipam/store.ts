import { hasErrno, isExists } from '#base/errors.ts';
import { isIdentifier } from '#base/identifier.ts';
import { lockExclusive, tryLockExclusive } from '#ffi/file.ts';
import {
  closeFile,
  identify,
  linkFile,
  makeDirectories,
  O,
  openFile,
  overwriteText,
  readDirectory,
  removeFile,
  tryReadText,
  writeText,
} from '#ffi/file-system.ts';
import { Ip } from '#net/ip.ts';
import { isGone, parseOrigin, renderOrigin, type NetnsOrigin, type Origin } from './origin.ts';

/** Who holds an address. Files of old versions name the container only. */
export interface Holder {
  readonly containerId: string;
  readonly ifName: string | undefined;
}

/** A container and one of its interfaces. */
export interface Attachment {
  readonly containerId: string;
  readonly ifName: string;
}

/** An address and the container that it is for. */
export interface Reservation {
  readonly ip: Ip;
  readonly containerId: string;
}

/** A reservation whose container is certainly gone. */
export interface Leftover {
  readonly ip: Ip;
  readonly holder: Holder;
}

/** A reservation with what is known of its making. */
export interface Kept {
  readonly ip: Ip;
  readonly holder: Holder;
  /** Undefined where no side file says it: another program made it. */
  readonly sinceBoot: boolean | undefined;
  readonly netns: NetnsOrigin | undefined;
  /** The namespace is certainly gone. */
  readonly gone: boolean;
}

/** Side files, one per reservation: the boot and the namespace for which it was made. A folder that the Go plugin walks over unharmed. */
const BOOT_DIR = '.boot';
/** Written under the lock only, so one name is enough; a leftover of a crash is replaced. */
const NEW_FILE = '.new';

/**
 * The reservations of one network on disk, in the format of the Go plugin `host-local`: a file per address that holds
 * `containerID\r\nifname`, `last_reserved_ip.<range>`, and `lock`, which is held from `open` to `close`.
 */
export class Store implements Disposable {
  readonly #dir: string;
  readonly #bootId: string;
  #lock: number;
  /** What NEW_FILE holds, once it is written. */
  #written: string | undefined;

  private constructor(dir: string, bootId: string, lock: number) {
    this.#dir = dir;
    this.#bootId = bootId;
    this.#lock = lock;
  }

  /** Makes the folder when needed and waits for its lock. */
  static open(dir: string, bootId: string): Store {
    makeDirectories(dir, 0o755);
    return new Store(dir, bootId, lockFile(dir, lockExclusive) ?? -1);
  }

  /** For who must not wait: undefined while somebody else holds the lock. Throws FileError when there is no folder. */
  static tryOpen(dir: string, bootId: string): Store | undefined {
    const lock = lockFile(dir, tryLockExclusive);
    return lock === undefined ? undefined : new Store(dir, bootId, lock);
  }

  /** Every reservation that counts, read without the lock: for people. */
  static list(dir: string, bootId: string): Kept[] {
    const store = new Store(dir, bootId, -1);
    return [...store.holders()].map(([name, holder]) => {
      const ip = Ip.parse(name);
      const origin = store.#origin(ip, holder);
      const netns = origin?.netns;
      const sinceBoot = origin === undefined ? undefined : origin.bootId === bootId;
      return { ip, holder, sinceBoot, netns, gone: netns !== undefined && isGone(netns) };
    });
  }

  /** What `leftovers` says, read without the lock: a hint whether it is worth taking. */
  static peek(dir: string, bootId: string): Leftover[] {
    return new Store(dir, bootId, -1).leftovers();
  }

  /** As `open`; undefined when the network has no folder, so that a DEL leaves none behind. */
  static openExisting(dir: string, bootId: string): Store | undefined {
    try {
      readDirectory(dir);
    } catch (error) {
      if (hasErrno(error, 'ENOENT')) return undefined;
      throw error;
    }
    return Store.open(dir, bootId);
  }

  /**
   * Every reservation that counts: address text to holder. Empty and damaged files are left out: they are what a crash
   * leaves of a write that never finished.
   */
  holders(): Map<string, Holder> {
    const holders = new Map<string, Holder>();
    for (const name of readDirectory(this.#dir)) {
      if (Ip.tryParse(name) === undefined) continue;
      const holder = this.#read(name);
      if (holder !== undefined) holders.set(name, holder);
    }
    return holders;
  }

  /**
   * Reserves `ip` unless somebody holds it; true when done. A reservation appears whole or not at all, whatever becomes
   * of this process. After a power cut it may be empty or gone: so is its container, and waiting for the disk, the
   * dearest part of an ADD, would only keep what belongs to an earlier boot. The addresses of one holder are links to
   * one file: what is in it is the same.
   */
  reserve(ip: Ip, holder: Attachment, netns?: NetnsOrigin): boolean {
    const text = textOf(holder);
    if (this.#written !== text) {
      // A leftover may be a link to somebody's reservation: never write into it.
      removeFile(`${this.#dir}/${NEW_FILE}`);
      writeText(`${this.#dir}/${NEW_FILE}`, text, { mode: 0o600 });
      this.#written = text;
    }
    this.#noteOrigin(ip, { bootId: this.#bootId, holder: text, netns });
    return this.#link(ip);
  }

  /** Frees what `holder` has, old files without an interface included; returns the addresses. */
  release(holder: Attachment): Ip[] {
    const freed: Ip[] = [];
    for (const [name, entry] of this.holders()) {
      if (!holds(entry, holder)) continue;
      const ip = Ip.parse(name);
      this.free(ip);
      freed.push(ip);
    }
    return freed;
  }

  /** The reservations that nobody in `valid` holds. */
  heldExcept(valid: readonly Attachment[]): readonly Reservation[] {
    const known = new Set(valid.flatMap((entry) => [entry.containerId, textOf(entry)]));
    return [...this.holders()].flatMap(([name, holder]) =>
      known.has(textOf(holder)) ? [] : [{ ip: Ip.parse(name), containerId: holder.containerId }],
    );
  }

  /** Frees all that nobody in `valid` holds; returns the addresses. */
  releaseExcept(valid: readonly Attachment[]): Ip[] {
    const freed = this.heldExcept(valid).map(({ ip }) => ip);
    for (const ip of freed) this.free(ip);
    return freed;
  }

  /** True when the reservation was made in an earlier boot, whose containers are all gone. */
  isStale(ip: Ip, holder: Holder): boolean {
    const origin = this.#origin(ip, holder);
    if (origin !== undefined) return origin.bootId !== this.#bootId;
    // Made by another program, in this boot for all we know: it gets its side file now and counts until the next.
    this.#noteOrigin(ip, { bootId: this.#bootId, holder: textOf(holder) });
    return false;
  }

  /** True when the container's namespace is known to be gone, though nobody called DEL. */
  isAbandoned(ip: Ip, holder: Holder): boolean {
    const netns = this.#origin(ip, holder)?.netns;
    return netns !== undefined && isGone(netns);
  }

  /** Reservations of an earlier boot, and those whose namespace is known to be gone. What cannot be judged is none. */
  leftovers(): Leftover[] {
    const found: Leftover[] = [];
    for (const [name, holder] of this.holders()) {
      const ip = Ip.parse(name);
      const origin = this.#origin(ip, holder);
      if (origin === undefined) continue;
      const gone = origin.bootId !== this.#bootId || (origin.netns !== undefined && isGone(origin.netns));
      if (gone) found.push({ ip, holder });
    }
    return found;
  }

  free(ip: Ip): void {
    // Killed in between, the reservation is still there for the next DEL; the other way round the side file would stay.
    removeFile(`${this.#dir}/${BOOT_DIR}/${ip}`);
    removeFile(`${this.#dir}/${ip}`);
  }

  /** The address that range set `index` gave out last. */
  lastReserved(index: number): Ip | undefined {
    const text = tryReadText(`${this.#dir}/last_reserved_ip.${index}`);
    return text === undefined ? undefined : Ip.tryParse(text.trim());
  }

  setLastReserved(index: number, ip: Ip): void {
    overwriteText(`${this.#dir}/last_reserved_ip.${index}`, ip.toString(), 0o600);
  }

  /** Gives the lock back. Closing twice is harmless. */
  close(): void {
    if (this.#lock < 0) return;
    if (this.#written !== undefined) removeFile(`${this.#dir}/${NEW_FILE}`);
    this.#written = undefined;
    closeFile(this.#lock);
    this.#lock = -1;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #read(name: string): Holder | undefined {
    const [containerId = '', ifName] = (tryReadText(`${this.#dir}/${name}`) ?? '').trim().split(/\r?\n/);
    if (!isIdentifier(containerId)) return undefined;
    return { containerId, ifName: ifName === undefined || ifName === '' ? undefined : ifName };
  }

  #link(ip: Ip): boolean {
    const path = `${this.#dir}/${ip}`;
    const temporary = `${this.#dir}/${NEW_FILE}`;
    try {
      linkFile(temporary, path);
      return true;
    } catch (error) {
      if (!isExists(error)) throw error;
    }
    if (this.#read(ip.toString()) !== undefined || identify(path, { followLink: false })?.isFile === false)
      return false;
    removeFile(path);
    linkFile(temporary, path);
    return true;
  }

  #origin(ip: Ip, holder: Holder): Origin | undefined {
    const text = tryReadText(`${this.#dir}/${BOOT_DIR}/${ip}`);
    const origin = text === undefined ? undefined : parseOrigin(text);
    return origin?.holder === textOf(holder) ? origin : undefined;
  }

  #noteOrigin(ip: Ip, origin: Origin): void {
    const path = `${this.#dir}/${BOOT_DIR}/${ip}`;
    const text = renderOrigin(origin);
    try {
      writeText(path, text, { mode: 0o600 });
    } catch (error) {
      if (!hasErrno(error, 'ENOENT')) throw error;
      makeDirectories(`${this.#dir}/${BOOT_DIR}`, 0o700);
      writeText(path, text, { mode: 0o600 });
    }
  }
}

/** Opens the lock file and takes its lock; undefined when `take` says that somebody else has it. */
function lockFile(dir: string, take: (fd: number) => boolean | void): number | undefined {
  const lock = openFile(`${dir}/lock`, O.WRONLY | O.CREAT | O.APPEND, 0o750);
  try {
    if (take(lock) !== false) return lock;
  } catch (error) {
    closeFile(lock);
    throw error;
  }
  closeFile(lock);
  return undefined;
}

/** The text of a reservation. */
function textOf({ containerId, ifName }: Holder): string {
  return ifName === undefined ? containerId : `${containerId}\r\n${ifName}`;
}

/** True when the reservation belongs to the attachment; one without an interface belongs to all of its container's. */
export function holds(holder: Holder, attachment: Attachment): boolean {
  if (holder.containerId !== attachment.containerId) return false;
  return holder.ifName === undefined || holder.ifName === attachment.ifName;
}
