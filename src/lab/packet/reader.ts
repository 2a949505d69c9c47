import { DecodeError } from '#base/errors.ts';

/** Bounds-checked network-order reads from captured bytes. `path` names the protocol in errors. */
export class Reader {
  readonly path: string;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  /** Offset of `bytes` in the whole frame, for errors. */
  readonly #base: number;
  #at = 0;

  constructor(path: string, bytes: Uint8Array, base = 0) {
    this.path = path;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#base = base;
  }

  get offset(): number {
    return this.#base + this.#at;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2));
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4));
  }

  bytes(count: number): Uint8Array {
    const at = this.#take(count);
    return this.#bytes.subarray(at, at + count);
  }

  skip(count: number): void {
    this.#take(count);
  }

  /** Everything that is left, at most `limit` bytes (a frame may carry padding behind its datagram). */
  rest(limit = Number.POSITIVE_INFINITY): Uint8Array {
    const end = Math.min(this.#bytes.length, this.#at + Math.max(0, limit));
    return this.#bytes.subarray(this.#at, end);
  }

  fail(message: string): DecodeError {
    return new DecodeError(this.path, this.offset, message);
  }

  #take(count: number): number {
    const at = this.#at;
    if (at + count > this.#bytes.length)
      throw this.fail(`${count} more bytes expected, ${this.#bytes.length - at} there`);
    this.#at += count;
    return at;
  }
}
