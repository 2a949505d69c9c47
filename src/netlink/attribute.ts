import {
  readBe16,
  readBe32,
  readBe64,
  readI32,
  readU16,
  readU32,
  readU64,
  type ByteWriter,
} from '#base/bytes.ts';
import { DecodeError } from '#base/errors.ts';
import { Ip } from '#net/ip.ts';
import { Mac } from '#net/mac.ts';

/** `linux/netlink.h`: the two top bits of an attribute type are flags. */
const NLA_F_NESTED = 0x8000;
const NLA_TYPE_MASK = 0x3fff;
const HEADER = 4;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Where a piece of input stands: a path in words and the byte offset from the start of the message. */
export interface Position {
  readonly path: string;
  readonly offset: number;
}

/** Both directions of one attribute's payload; what is written (`T`) may be looser than what is read (`R`). */
export interface Codec<T, R = T> {
  /** True when the payload consists of attributes: the type then carries NLA_F_NESTED. */
  readonly nested?: boolean;
  write(out: ByteWriter, value: T): void;
  read(bytes: Uint8Array, at: Position): R;
}

/** An attribute that a table does not know: kept as it came. */
export interface RawAttribute {
  readonly type: number;
  readonly payload: Uint8Array;
}

function sized(bytes: Uint8Array, length: number, at: Position): Uint8Array {
  if (bytes.length < length) {
    throw new DecodeError(at.path, at.offset, `${bytes.length} bytes where ${length} are needed`);
  }
  return bytes;
}

export const u8: Codec<number> = {
  write: (out, value) => out.u8(value),
  read: (bytes, at) => sized(bytes, 1, at)[0] ?? 0,
};
export const u16: Codec<number> = {
  write: (out, value) => out.u16(value),
  read: (bytes, at) => readU16(sized(bytes, 2, at)),
};
export const u32: Codec<number> = {
  write: (out, value) => out.u32(value),
  read: (bytes, at) => readU32(sized(bytes, 4, at)),
};
export const i32: Codec<number> = {
  write: (out, value) => out.i32(value),
  read: (bytes, at) => readI32(sized(bytes, 4, at)),
};
export const u64: Codec<bigint> = {
  write: (out, value) => out.u64(value),
  read: (bytes, at) => readU64(sized(bytes, 8, at)),
};
export const be16: Codec<number> = {
  write: (out, value) => out.be16(value),
  read: (bytes, at) => readBe16(sized(bytes, 2, at)),
};
export const be32: Codec<number> = {
  write: (out, value) => out.be32(value),
  read: (bytes, at) => readBe32(sized(bytes, 4, at)),
};
export const be64: Codec<bigint> = {
  write: (out, value) => out.be64(value),
  read: (bytes, at) => readBe64(sized(bytes, 8, at)),
};
/** One byte, 0 or 1. */
export const bool8: Codec<boolean> = {
  write: (out, value) => out.u8(value ? 1 : 0),
  read: (bytes, at) => sized(bytes, 1, at)[0] !== 0,
};
/** Present or absent, without payload. Writing `false` is refused by leaving the value undefined. */
export const flag: Codec<true> = { write: () => {}, read: () => true };
export const raw: Codec<Uint8Array> = {
  write: (out, value) => out.bytes(value),
  read: (bytes) => bytes.slice(),
};
/** UTF-8 with a terminating NUL. */
export const text: Codec<string> = {
  write: (out, value) => out.bytes(encoder.encode(value)).u8(0),
  read: (bytes) => {
    const end = bytes.indexOf(0);
    return decoder.decode(end < 0 ? bytes : bytes.subarray(0, end));
  },
};
/** As `text` without the NUL, where length zero means something or the kernel takes it bare. */
export const bareText: Codec<string> = {
  write: (out, value) => out.bytes(encoder.encode(value)),
  read: (bytes, at) => text.read(bytes, at),
};
/** 4 or 16 bytes in network order. */
export const ip: Codec<Ip> = {
  write: (out, value) => out.bytes(value.toBytes()),
  read(bytes, at) {
    if (bytes.length === 4 || bytes.length === 16) return Ip.fromBytes(bytes);
    throw new DecodeError(at.path, at.offset, `an address of ${bytes.length} bytes`);
  },
};
export const mac: Codec<Mac> = {
  write: (out, value) => out.bytes(value.toBytes()),
  read(bytes, at) {
    if (bytes.length === 6) return Mac.fromBytes(bytes);
    throw new DecodeError(at.path, at.offset, `a hardware address of ${bytes.length} bytes`);
  },
};

/** Writes one attribute: header, payload by `fill`, padding (`linux/netlink.h` struct nlattr). */
export function writeAttribute(out: ByteWriter, type: number, fill: () => void): void {
  const start = out.length;
  out.u16(0).u16(type);
  fill();
  out.patchU16(start, out.length - start);
  out.align(4);
}

/** As `writeAttribute` for a payload of attributes. */
export function writeNested(out: ByteWriter, type: number, fill: () => void): void {
  writeAttribute(out, type | NLA_F_NESTED, fill);
}

/** Calls `each` for every attribute in `bytes`; payloads are views. Throws on a length that leads outside. */
export function forEachAttribute(
  bytes: Uint8Array,
  at: Position,
  each: (type: number, payload: Uint8Array, position: Position) => void,
): void {
  let offset = 0;
  while (offset + HEADER <= bytes.length) {
    const length = lengthAt(bytes, offset, at);
    const type = readU16(bytes, offset + 2) & NLA_TYPE_MASK;
    each(type, bytes.subarray(offset + HEADER, offset + length), new Place(at, '', offset + HEADER));
    offset += (length + 3) & ~3;
  }
}

type Fields = Readonly<Record<string, readonly [type: number, codec: Codec<never, unknown>]>>;

/** What a table decodes to; absent attributes are undefined. */
export type AttributeValues<F extends Fields> = {
  readonly [K in keyof F]?: (F[K] extends readonly [number, Codec<never, infer R>] ? R : never) | undefined;
} & Unknown;

/** What a table encodes from. */
export type AttributeInput<F extends Fields> = {
  readonly [K in keyof F]?: (F[K] extends readonly [number, Codec<infer T, unknown>] ? T : never) | undefined;
} & Unknown;

interface Unknown {
  readonly unknown?: readonly RawAttribute[] | undefined;
}

export interface AttributeTable<F extends Fields> extends Codec<AttributeInput<F>, AttributeValues<F>> {
  readonly nested: true;
  readonly fields: F;
}

/**
 * A typed table of one attribute space: `{ key: [number, codec] }`. Encoding writes the given keys in the order of the
 * table, then `unknown`; decoding keeps what the table does not know in `unknown`, or drops it where nobody writes it
 * back (`keep`). The last of duplicates wins.
 */
export function attributeTable<const F extends Fields>(
  name: string,
  fields: F,
  keep: 'keep' | 'drop' = 'keep',
): AttributeTable<F> {
  // Made when first needed: a short-lived process uses few of all tables.
  let index: TableIndex | undefined;
  return {
    nested: true,
    fields,
    write(out, values) {
      index ??= indexOf(fields);
      const given: Readonly<Record<string, unknown>> = values;
      for (const { key, wireType, codec } of index.entries) {
        const value = given[key];
        if (value === undefined) continue;
        const start = out.length;
        out.u16(0).u16(wireType);
        codec.write(out, value);
        out.patchU16(start, out.length - start);
        out.align(4);
      }
      for (const { type, payload } of values.unknown ?? []) {
        writeAttribute(out, type, () => out.bytes(payload));
      }
    },
    read(bytes, at) {
      index ??= indexOf(fields);
      const values: Record<string, unknown> = {};
      let unknown: RawAttribute[] | undefined;
      // The hottest loop of every answer: most attributes are not asked for and cost a look at their header.
      for (let offset = 0; offset + HEADER <= bytes.length;) {
        const end = offset + lengthAt(bytes, offset, at, name);
        const type = readU16(bytes, offset + 2) & NLA_TYPE_MASK;
        const known = index.byType[type];
        if (known !== undefined) {
          const position = new Place(at, name === '' ? known.key : `${name}.${known.key}`, offset + HEADER);
          values[known.key] = known.codec.read(bytes.subarray(offset + HEADER, end), position);
        } else if (keep === 'keep') {
          unknown ??= [];
          unknown.push({ type, payload: bytes.slice(offset + HEADER, end) });
        }
        offset = (end + 3) & ~3;
      }
      if (unknown !== undefined) values['unknown'] = unknown;
      return values as AttributeValues<F>;
    },
  };
}

/** The length of the attribute at `offset`, checked. `inside` names its table, if it has one. */
function lengthAt(bytes: Uint8Array, offset: number, at: Position, inside = ''): number {
  const length = readU16(bytes, offset);
  if (length >= HEADER && offset + length <= bytes.length) return length;
  const { path, offset: where } = new Place(at, inside, offset);
  throw new DecodeError(path, where, `attribute length ${length} leads outside its parent`);
}

interface Entry {
  readonly key: string;
  readonly type: number;
  readonly wireType: number;
  readonly codec: Codec<unknown>;
}

interface TableIndex {
  readonly entries: readonly Entry[];
  readonly byType: readonly (Entry | undefined)[];
}

function indexOf(fields: Fields): TableIndex {
  const entries: Entry[] = [];
  const byType: (Entry | undefined)[] = [];
  for (const key of Object.keys(fields)) {
    const field = fields[key];
    if (field === undefined) continue;
    const type = field[0];
    const codec = field[1] as Codec<unknown>;
    const entry = { key, type, wireType: codec.nested === true ? type | NLA_F_NESTED : type, codec };
    entries.push(entry);
    byType[type] = entry;
  }
  return { entries, byType };
}

/** A position below another; its words are put together only when an error asks for them. */
class Place implements Position {
  readonly offset: number;
  readonly #parent: Position;
  readonly #name: string;

  constructor(parent: Position, name: string, offset: number) {
    this.#parent = parent;
    this.#name = name;
    this.offset = parent.offset + offset;
  }

  get path(): string {
    const above = this.#parent.path;
    if (above === '' || this.#name === '') return above + this.#name;
    return `${above}.${this.#name}`;
  }
}

/** A list of attributes that all have the same inner form; their types are an index or a fixed number. */
export function listOf<T>(codec: Codec<T>, elementType: number): Codec<readonly T[]> {
  return {
    nested: true,
    write(out, values) {
      const type = codec.nested === true ? elementType | NLA_F_NESTED : elementType;
      for (const value of values) writeAttribute(out, type, () => codec.write(out, value));
    },
    read(bytes, at) {
      const values: T[] = [];
      forEachAttribute(bytes, at, (_type, payload, position) => values.push(codec.read(payload, position)));
      return values;
    },
  };
}
