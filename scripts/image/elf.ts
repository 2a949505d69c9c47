/** What the loader needs to know of an executable or shared library. */
export interface ElfNeeds {
  /** `e_machine` of `elf.h`. */
  readonly machine: number;
  /** The loader that it asks for; undefined for a library. */
  readonly interpreter: string | undefined;
  /** Names of the libraries that are loaded with it. */
  readonly libraries: readonly string[];
}

const MAGIC = 0x7f454c46;
const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const PT_INTERP = 3;
const DT_NEEDED = 1;
const DT_STRTAB = 5;

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: number;
  readonly size: number;
}

/** Reads a 64 bit little endian ELF file (System V ABI, `elf.h`); undefined when it is no such file. */
export function readElf(bytes: Uint8Array): ElfNeeds | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 64 || view.getUint32(0) !== MAGIC || bytes[4] !== 2 || bytes[5] !== 1) return undefined;
  const segments = readSegments(view);
  const interpreter = segments.find(({ type }) => type === PT_INTERP);
  const dynamic = segments.find(({ type }) => type === PT_DYNAMIC);
  return {
    machine: view.getUint16(18, true),
    interpreter: interpreter === undefined ? undefined : stringAt(bytes, interpreter.offset),
    libraries: dynamic === undefined ? [] : readNeeded(view, { bytes, dynamic, segments }),
  };
}

function readSegments(view: DataView): Segment[] {
  const table = word(view, 32);
  const size = view.getUint16(54, true);
  return Array.from({ length: view.getUint16(56, true) }, (_none, index) => {
    const at = table + index * size;
    return {
      type: view.getUint32(at, true),
      offset: word(view, at + 8),
      address: word(view, at + 16),
      size: word(view, at + 32),
    };
  });
}

interface Dynamic {
  readonly bytes: Uint8Array;
  readonly dynamic: Segment;
  readonly segments: readonly Segment[];
}

function readNeeded(view: DataView, { bytes, dynamic, segments }: Dynamic): string[] {
  const tags = Array.from({ length: dynamic.size / 16 }, (_none, index) => {
    const at = dynamic.offset + index * 16;
    return { tag: word(view, at), value: word(view, at + 8) };
  });
  const address = tags.find(({ tag }) => tag === DT_STRTAB)?.value ?? 0;
  // The table is named by its address in memory; the file has it where the segment around it is.
  const around = segments.find(
    (one) => one.type === PT_LOAD && address >= one.address && address < one.address + one.size,
  );
  if (around === undefined) throw new Error('ELF: the dynamic string table is in no segment');
  const strings = address - around.address + around.offset;
  return tags.filter(({ tag }) => tag === DT_NEEDED).map(({ value }) => stringAt(bytes, strings + value));
}

function word(view: DataView, at: number): number {
  return Number(view.getBigUint64(at, true));
}

function stringAt(bytes: Uint8Array, at: number): string {
  return new TextDecoder().decode(bytes.subarray(at, bytes.indexOf(0, at)));
}
