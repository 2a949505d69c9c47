/** One member of an archive. `path` is relative, without a slash at the end; `mode` the permission bits. */
export type Entry = { readonly path: string; readonly mode: number } & (
  | { readonly kind: 'folder' }
  | { readonly kind: 'file'; readonly bytes: Uint8Array }
  /** `target`: as it stands in the link. */
  | { readonly kind: 'symlink'; readonly target: string }
  /** `target`: the path of a file of this archive. */
  | { readonly kind: 'hardlink'; readonly target: string }
);

const BLOCK = 512;
const TYPES = { file: '0', hardlink: '1', symlink: '2', folder: '5' } as const;
/** Largest size that eleven octal digits hold: 8 GiB. */
const SIZE_LIMIT = 8 ** 11;

/**
 * A tar archive (POSIX.1-1988 `ustar`) whose bytes depend on nothing but its arguments: members sorted by path, hard links
 * last, because their file must come first; owner 0:0, one time for all. `time`: seconds since 1970. Throws on what
 * the format cannot say.
 */
export function tarArchive(entries: readonly Entry[], time: number): Uint8Array {
  const rank = ({ kind }: Entry) => (kind === 'hardlink' ? 1 : 0);
  const sorted = [...entries].sort((a, b) => rank(a) - rank(b) || (a.path < b.path ? -1 : 1));
  const parts = sorted.flatMap((entry) => {
    const bytes = entry.kind === 'file' ? entry.bytes : new Uint8Array();
    return [header(entry, bytes.length, time), bytes, new Uint8Array(-bytes.length & (BLOCK - 1))];
  });
  return new Uint8Array(Bun.concatArrayBuffers([...parts, new Uint8Array(2 * BLOCK)]));
}

function header(entry: Entry, size: number, time: number): Uint8Array {
  const block = new Uint8Array(BLOCK);
  const [prefix, name] = splitPath(entry.kind === 'folder' ? `${entry.path}/` : entry.path);
  const target = entry.kind === 'symlink' || entry.kind === 'hardlink' ? entry.target : '';
  if (size >= SIZE_LIMIT) throw new Error(`${entry.path}: ${size} bytes are too many for tar`);
  text(block, { at: 0, length: 100, value: name });
  octal(block, { at: 100, length: 8, value: entry.mode });
  octal(block, { at: 108, length: 8, value: 0 });
  octal(block, { at: 116, length: 8, value: 0 });
  octal(block, { at: 124, length: 12, value: size });
  octal(block, { at: 136, length: 12, value: time });
  text(block, { at: 156, length: 1, value: TYPES[entry.kind] });
  text(block, { at: 157, length: 100, value: target });
  text(block, { at: 257, length: 8, value: 'ustar\u000000' });
  text(block, { at: 345, length: 155, value: prefix });
  // The checksum counts its own field as spaces.
  text(block, { at: 148, length: 8, value: ' '.repeat(8) });
  const sum = block.reduce((total, byte) => total + byte, 0);
  text(block, { at: 148, length: 8, value: `${sum.toString(8).padStart(6, '0')}\0 ` });
  return block;
}

interface Field<T> {
  readonly at: number;
  readonly length: number;
  readonly value: T;
}

function text(block: Uint8Array, { at, length, value }: Field<string>): void {
  const bytes = new TextEncoder().encode(value);
  if (bytes.length > length) throw new Error(`${value}: too long for tar`);
  block.set(bytes, at);
}

function octal(block: Uint8Array, { at, length, value }: Field<number>): void {
  text(block, { at, length, value: value.toString(8).padStart(length - 1, '0') });
}

/** Prefix and name: 155 and 100 bytes, joined by a slash that stands in neither. */
function splitPath(path: string): readonly [string, string] {
  if (path.length <= 100) return ['', path];
  const slash = path.indexOf('/', path.length - 101);
  if (slash < 0 || slash === path.length - 1) throw new Error(`${path}: too long for tar`);
  return [path.slice(0, slash), path.slice(slash + 1)];
}
