import { dirname } from 'node:path';
import type { Entry } from './tar.ts';

/** The members of a layer; folders on the way to a file are made. Adding a path twice with another content is an error. */
export class FileTree {
  readonly #entries = new Map<string, Entry>();
  readonly #sizes = new Map<string, number>();

  /** `part`: what it counts to. Mode 0644 unless told. */
  file(part: string, path: string, { bytes, mode = 0o644 }: { bytes: Uint8Array; mode?: number }): void {
    this.#add({ kind: 'file', path, mode, bytes });
    this.#sizes.set(part, (this.#sizes.get(part) ?? 0) + bytes.length);
  }

  symlink(path: string, target: string): void {
    this.#add({ kind: 'symlink', path, mode: 0o777, target });
  }

  /** `target`: the path of a file that has been added. */
  hardlink(path: string, target: string, mode: number): void {
    this.#add({ kind: 'hardlink', path, mode, target });
  }

  folder(path: string, mode = 0o755): void {
    const there = this.#entries.get(path);
    if (there !== undefined && there.kind !== 'folder') throw new Error(`${path} is there, and no folder`);
    if (there !== undefined && there.mode === mode) return;
    this.#parents(path);
    this.#entries.set(path, { kind: 'folder', path, mode });
  }

  entries(): Entry[] {
    return [...this.#entries.values()];
  }

  get sizes(): ReadonlyMap<string, number> {
    return this.#sizes;
  }

  #add(entry: Entry): void {
    if (this.#entries.has(entry.path)) throw new Error(`${entry.path} is there already`);
    this.#parents(entry.path);
    this.#entries.set(entry.path, entry);
  }

  #parents(path: string): void {
    const parent = dirname(path);
    if (parent !== '.') this.folder(parent);
  }
}
