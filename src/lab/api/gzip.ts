/** Real servers compress answers from this length on (`defaultGzipThresholdBytes`). */
export const GZIP_THRESHOLD = 128 * 1024;

/** Compressed pages kept, bytes. */
const CACHE_LIMIT = 64 * 1024 * 1024;

/** Compresses as real servers do (level 1), and keeps the latest pages: a page is asked for by every agent. */
export class Gzip {
  readonly #cache = new Map<string, Uint8Array>();
  #held = 0;

  compress(body: Uint8Array, cacheKey: string | undefined): Uint8Array {
    const known = cacheKey === undefined ? undefined : this.#cache.get(cacheKey);
    if (known !== undefined) return known;
    const packed = Bun.gzipSync(body as Uint8Array<ArrayBuffer>, { level: 1 });
    if (cacheKey !== undefined) this.#keep(cacheKey, packed);
    return packed;
  }

  #keep(key: string, packed: Uint8Array): void {
    this.#cache.set(key, packed);
    this.#held += packed.length;
    for (const [oldest, bytes] of this.#cache) {
      if (this.#held <= CACHE_LIMIT) break;
      this.#cache.delete(oldest);
      this.#held -= bytes.length;
    }
  }
}
