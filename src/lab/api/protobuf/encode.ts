import { isObject, type Json, type JsonObject } from '../object.ts';

/** What a field holds: a scalar, a well-known message, another message, or several of them. */
export type Kind =
  | 'string'
  | 'int'
  | 'bool'
  /** RFC 3339 in JSON, seconds and nanoseconds in protobuf (meta/v1 Time). */
  | 'time'
  /** Text in JSON, a message with that text as field 1 in protobuf (resource Quantity). */
  | 'quantity'
  /** A JSON value as it stands, in a message as field 1 (meta/v1 FieldsV1). */
  | 'json'
  | Shape
  | { readonly list: Kind }
  | { readonly map: Kind };

/** A message: the fields of its JSON form, with numbers, in rising order of number as the Go code writes them. */
export interface Shape {
  readonly fields: readonly (readonly [number: number, name: string, kind: Kind])[];
}

export function shape(fields: Shape['fields']): Shape {
  return { fields };
}

const encoder = new TextEncoder();
const VARINT = 0;
const BYTES = 2;

/** Writes from the end to the front: a message's length is known when its content is there. */
class BackWriter {
  #bytes = new Uint8Array(64 * 1024);
  #at = this.#bytes.length;

  get length(): number {
    return this.#bytes.length - this.#at;
  }

  bytes(content: Uint8Array): void {
    this.#at -= this.#room(content.length);
    this.#bytes.set(content, this.#at);
  }

  varint(value: number): void {
    this.bytes(Uint8Array.from(digits(value)));
  }

  /** Length and tag in front of what was written since `from`. */
  close(field: number, from: number): void {
    this.varint(this.length - from);
    this.varint(field * 8 + BYTES);
  }

  take(): Uint8Array {
    const taken = this.#bytes.slice(this.#at);
    this.#at = this.#bytes.length;
    return taken;
  }

  #room(count: number): number {
    if (count > this.#at) {
      const grown = new Uint8Array((this.#bytes.length + count) * 2);
      const at = grown.length - this.length;
      grown.set(this.#bytes.subarray(this.#at), at);
      this.#bytes = grown;
      this.#at = at;
    }
    return count;
  }
}

/** One object in protobuf, without the envelope. What `message` does not know is left out, as a real server does. */
export function encodeMessage(object: JsonObject, message: Shape): Uint8Array {
  const out = new BackWriter();
  fields(out, object, message);
  return out.take();
}

function fields(out: BackWriter, object: JsonObject, message: Shape): void {
  for (const [number, name, kind] of message.fields.toReversed()) {
    const value = object[name];
    if (value !== undefined && value !== null) field(out, number, { kind, value });
  }
}

interface Given {
  readonly kind: Kind;
  readonly value: Json;
}

function field(out: BackWriter, number: number, { kind, value }: Given): void {
  if (typeof kind === 'object' && 'list' in kind) {
    const list = Array.isArray(value) ? value : [];
    for (const item of list.toReversed()) field(out, number, { kind: kind.list, value: item });
    return;
  }
  if (typeof kind === 'object' && 'map' in kind) {
    const entries = isObject(value) ? Object.entries(value) : [];
    for (const [key, item] of entries.sort(([a], [b]) => (a < b ? -1 : 1)).toReversed()) {
      const from = out.length;
      field(out, 2, { kind: kind.map, value: item ?? '' });
      field(out, 1, { kind: 'string', value: key });
      out.close(number, from);
    }
    return;
  }
  if (kind === 'int' || kind === 'bool') {
    out.varint(Number(value));
    out.varint(number * 8 + VARINT);
    return;
  }
  const from = out.length;
  content(out, kind, value);
  out.close(number, from);
}

/** The payload of a field that has a length. */
function content(out: BackWriter, kind: Exclude<Kind, 'int' | 'bool'>, value: Json): void {
  if (kind === 'string') out.bytes(encoder.encode(textOf(value)));
  else if (kind === 'quantity') field(out, 1, { kind: 'string', value });
  else if (kind === 'json') field(out, 1, { kind: 'string', value: JSON.stringify(value) });
  else if (kind === 'time') {
    field(out, 2, { kind: 'int', value: 0 });
    field(out, 1, { kind: 'int', value: Math.floor(Date.parse(textOf(value)) / 1000) });
  } else if ('fields' in kind && isObject(value)) fields(out, value, kind);
}

/** A plain value as text. */
function textOf(value: Json): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** Tag and length of a field of `length` bytes, which the caller puts behind it. */
export function fieldHeader(number: number, length: number): Uint8Array {
  return Uint8Array.from([...digits(number * 8 + BYTES), ...digits(length)]);
}

/** Bytes as one field of a message that is put together by hand. */
export function bytesField(number: number, payload: Uint8Array): Uint8Array {
  return Buffer.concat([fieldHeader(number, payload.length), payload]);
}

/** A number as a varint. */
function digits(value: number): number[] {
  const list: number[] = [];
  let rest = value;
  do {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    list.push(rest > 0 ? low | 0x80 : low);
  } while (rest > 0);
  return list;
}
