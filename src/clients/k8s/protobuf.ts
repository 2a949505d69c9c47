import { FlannelError } from '#base/errors.ts';
import type { Selection } from './selection.ts';

/** What a field holds: text, a list of texts, a number, a map from text to text, or another message. */
export type FieldKind = 'string' | 'strings' | 'int' | 'map' | MessageShape;

/** The fields of a message that we know, by number, with the names that they have in JSON. All others are skipped. */
export interface MessageShape {
  readonly [number: number]: readonly [name: string, kind: FieldKind];
}

/** Bytes that are no protobuf message, or not the one that we asked for. `offset` counts bytes of the message or stream. */
export class ProtobufError extends FlannelError {
  override readonly name = 'ProtobufError';
  readonly offset: number;
  readonly #what: string;

  constructor(offset: number, what: string, request?: string) {
    const place = `byte ${offset} of the answer in protobuf`;
    super('api', request === undefined ? `${place}: ${what}` : `${request}: ${place}: ${what}`, {
      cure: 'JSON is asked for from now on; check what stands between here and the API server',
    });
    this.offset = offset;
    this.#what = what;
  }

  /** The same, naming the request. */
  of(request: string): ProtobufError {
    return new ProtobufError(this.offset, this.#what, request);
  }
}

/** Wire types (protobuf.dev, "Encoding"); groups, 3 and 4, are not used by Kubernetes. */
export const WIRE = { VARINT: 0, FIXED64: 1, BYTES: 2, FIXED32: 5 } as const;

/** `k8s` and a zero byte: in front of every object (kubernetes.io, "API concepts", protobuf encoding). */
export const MAGIC: Uint8Array = Uint8Array.of(0x6b, 0x38, 0x73, 0x00);

/** Longest varint, bytes. */
const LONGEST = 10;

/** Walks over the fields of one message that is complete in memory. */
export class FieldCursor {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  #at: number;
  field = 0;
  wire = 0;
  /** The field's payload: bytes `start` to `stop`; of a number nothing. */
  start = 0;
  stop = 0;
  /** The number of a VARINT field; exact up to 2^53. */
  value = 0;

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
  }

  /** Moves on to the next field; false at the end. Throws ProtobufError. */
  next(): boolean {
    if (this.#at >= this.#end) return false;
    const tag = this.#varint();
    this.field = Math.floor(tag / 8);
    this.wire = tag % 8;
    if (this.field === 0 || tag > 0xffff_ffff) throw new ProtobufError(this.#at, 'no field has that number');
    let length = 0;
    if (this.wire === WIRE.VARINT) this.value = this.#varint();
    else if (this.wire === WIRE.BYTES) length = this.#varint();
    else length = fixedLength(this.wire, this.#at);
    this.start = this.#at;
    this.stop = this.#at + length;
    if (this.stop > this.#end) throw new ProtobufError(this.#at, 'a field leads outside its message');
    this.#at = this.stop;
    return true;
  }

  #varint(): number {
    const bytes = this.#bytes;
    let value = 0;
    let scale = 1;
    for (let at = this.#at; at < this.#end && at < this.#at + LONGEST; at += 1) {
      const byte = bytes[at] as number;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        this.#at = at + 1;
        return value;
      }
      scale *= 128;
    }
    throw new ProtobufError(this.#at, 'a number has no end');
  }
}

/** Length of a field of wire type FIXED32 or FIXED64. Throws for the others. */
export function fixedLength(wire: number, at: number): number {
  if (wire === WIRE.FIXED32) return 4;
  if (wire === WIRE.FIXED64) return 8;
  throw new ProtobufError(at, `wire type ${wire} is not used`);
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function text(bytes: Uint8Array, start: number, end: number): string {
  try {
    return decoder.decode(bytes.subarray(start, end));
  } catch {
    throw new ProtobufError(start, 'a text is not UTF-8');
  }
}

/**
 * The selected parts of one message, as the same object in JSON would give them: `select` is asked for the names of `shape`.
 * Of a field that comes twice the last counts. Throws ProtobufError.
 */
export function decodeMessage(
  bytes: Uint8Array,
  shape: MessageShape,
  select: Selection,
): Record<string, unknown> {
  return message({ bytes, start: 0, end: bytes.length }, shape, select);
}

interface Span {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

function message(span: Span, shape: MessageShape, select: Selection): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  const cursor = new FieldCursor(span.bytes, span.start, span.end);
  while (cursor.next()) {
    const known = shape[cursor.field];
    if (known === undefined) continue;
    const [name, kind] = known;
    const inner = select.kind === 'members' ? select.member(name) : select;
    if (inner === undefined) continue;
    if (cursor.wire !== (kind === 'int' ? WIRE.VARINT : WIRE.BYTES))
      throw new ProtobufError(cursor.start, `${name} has wire type ${cursor.wire}`);
    put(out, name, { kind, inner, cursor, bytes: span.bytes });
  }
  return out;
}

interface Found {
  readonly kind: FieldKind;
  readonly inner: Selection;
  readonly cursor: FieldCursor;
  readonly bytes: Uint8Array;
}

function put(out: Record<string, unknown>, name: string, { kind, inner, cursor, bytes }: Found): void {
  const { start, stop, value } = cursor;
  if (kind === 'string') out[name] = text(bytes, start, stop);
  else if (kind === 'int') out[name] = value;
  else if (kind === 'strings') {
    const list = (out[name] ??= []) as string[];
    list.push(text(bytes, start, stop));
  } else if (kind === 'map') {
    const map = (out[name] ??= Object.create(null)) as Record<string, string>;
    entry(map, { bytes, start, end: stop }, inner);
  } else out[name] = message({ bytes, start, end: stop }, kind, inner);
}

/** An entry of a map: a message with the key as field 1 and the value as field 2. */
function entry(map: Record<string, string>, { bytes, start, end }: Span, select: Selection): void {
  const cursor = new FieldCursor(bytes, start, end);
  let key = '';
  let from = 0;
  let to = 0;
  while (cursor.next()) {
    if (cursor.wire !== WIRE.BYTES) continue;
    if (cursor.field === 1) key = text(bytes, cursor.start, cursor.stop);
    else if (cursor.field === 2) [from, to] = [cursor.start, cursor.stop];
  }
  if (select.kind === 'members' && select.member(key) === undefined) return;
  map[key] = text(bytes, from, to);
}

/** `k8s.io/apimachinery/pkg/runtime` generated.proto, message Unknown. */
export const UNKNOWN = { TYPE_META: 1, RAW: 2 } as const;

/** The kind (`Node`, `Status`) that an envelope names, and the bytes of the object in it. Throws ProtobufError. */
export function openEnvelope(bytes: Uint8Array): { readonly kind: string; readonly raw: Uint8Array } {
  if (MAGIC.some((byte, at) => bytes[at] !== byte))
    throw new ProtobufError(0, 'it does not begin with the magic of Kubernetes');
  let kind = '';
  let raw = bytes.subarray(0, 0);
  const cursor = new FieldCursor(bytes, MAGIC.length, bytes.length);
  while (cursor.next()) {
    if (cursor.wire !== WIRE.BYTES) continue;
    const payload = bytes.subarray(cursor.start, cursor.stop);
    if (cursor.field === UNKNOWN.TYPE_META) kind = kindOf(payload);
    else if (cursor.field === UNKNOWN.RAW) raw = payload;
  }
  return { kind, raw };
}

/** The kind in a TypeMeta (same file). */
export function kindOf(typeMeta: Uint8Array): string {
  const { kind } = decodeMessage(typeMeta, { 2: ['kind', 'string'] }, { kind: 'all' });
  return typeof kind === 'string' ? kind : '';
}
