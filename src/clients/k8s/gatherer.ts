/** Collects a known number of bytes out of chunks; what lies whole in one chunk is not copied. */
export class Gatherer {
  #bytes = new Uint8Array(0);
  #length = 0;

  get begun(): boolean {
    return this.#length > 0;
  }

  /** The bytes when there are `wanted` of them, beginning with those kept before; else keeps what `chunk` has. */
  take(chunk: Uint8Array, at: number, wanted: number): Uint8Array | undefined {
    const missing = wanted - this.#length;
    if (this.#length === 0 && chunk.length - at >= wanted) return chunk.subarray(at, at + wanted);
    const part = chunk.subarray(at, at + missing);
    this.#reserve(this.#length + part.length, wanted);
    this.#bytes.set(part, this.#length);
    this.#length += part.length;
    if (this.#length < wanted) return undefined;
    this.#length = 0;
    return this.#bytes.subarray(0, wanted);
  }

  /** How many of `wanted` bytes `chunk` will give. */
  share(chunk: Uint8Array, at: number, wanted: number): number {
    return Math.min(wanted - this.#length, chunk.length - at);
  }

  /** Grows with what has come, not with what a length promises. */
  #reserve(length: number, wanted: number): void {
    if (length <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.min(wanted, Math.max(length, this.#bytes.length * 2, 16_384)));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}
