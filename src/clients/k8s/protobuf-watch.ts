import { Gatherer } from './gatherer.ts';
import { decodeMessage, FieldCursor, openEnvelope, ProtobufError, WIRE } from './protobuf.ts';
import { MAX_OBJECT, type ProtobufOptions } from './protobuf-options.ts';
import { STATUS } from './protobuf-shapes.ts';
import { ALL } from './selection.ts';

export interface ProtobufWatchOptions extends ProtobufOptions {
  /** Takes `{type, object}` as the line of a watch in JSON has it. */
  readonly onValue: (event: unknown) => void;
}

/** Bytes of the length in front of each event, network order (apimachinery `pkg/util/framer`). */
const FRAME_HEADER = 4;

/** Reads the events of a watch as they stream in. */
export class ProtobufWatch {
  readonly #options: ProtobufWatchOptions;
  readonly #max: number;
  readonly #gatherer = new Gatherer();
  /** Length of the event that is coming in; undefined while its header is. */
  #frame: number | undefined;
  #consumed = 0;

  constructor(options: ProtobufWatchOptions) {
    this.#options = options;
    this.#max = options.maxObject ?? MAX_OBJECT;
  }

  /** Takes the next bytes. Throws ProtobufError; the reader must not be used after that. */
  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      const wanted = this.#frame ?? FRAME_HEADER;
      const used = this.#gatherer.share(chunk, at, wanted);
      const bytes = this.#gatherer.take(chunk, at, wanted);
      at += used;
      this.#consumed += used;
      if (bytes === undefined) return;
      if (this.#frame === undefined) this.#header(bytes);
      else this.#event(bytes);
    }
  }

  /** False when the stream stopped inside an event. */
  complete(): boolean {
    return this.#frame === undefined && !this.#gatherer.begun;
  }

  #header(bytes: Uint8Array): void {
    const length = new DataView(bytes.buffer, bytes.byteOffset, FRAME_HEADER).getUint32(0);
    if (length === 0 || length > this.#max)
      throw new ProtobufError(this.#consumed, `an event of ${length} bytes`);
    this.#frame = length;
  }

  /** Message WatchEvent of meta/v1: type, and the object as a RawExtension of an envelope of its own. */
  #event(bytes: Uint8Array): void {
    this.#frame = undefined;
    let type: unknown = '';
    let object = bytes.subarray(0, 0);
    const cursor = new FieldCursor(bytes, 0, bytes.length);
    while (cursor.next()) {
      if (cursor.wire !== WIRE.BYTES) continue;
      const payload = bytes.subarray(cursor.start, cursor.stop);
      if (cursor.field === 1) type = new TextDecoder().decode(payload);
      else if (cursor.field === 2) object = rawOf(payload);
    }
    const { kind, raw } = openEnvelope(object);
    const { shape, select, onValue } = this.#options;
    const found = kind === 'Status' ? decodeMessage(raw, STATUS, ALL) : decodeMessage(raw, shape, select);
    onValue({ type, object: found });
  }
}

/** The bytes in a RawExtension. */
function rawOf(extension: Uint8Array): Uint8Array {
  const cursor = new FieldCursor(extension, 0, extension.length);
  let raw = extension.subarray(0, 0);
  while (cursor.next())
    if (cursor.field === 1 && cursor.wire === WIRE.BYTES) raw = extension.subarray(cursor.start, cursor.stop);
  return raw;
}
