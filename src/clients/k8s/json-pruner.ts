import { JsonError, type Selection } from './selection.ts';

export interface PrunerOptions {
  readonly selection: Selection;
  /** Takes an item of an `each` array. */
  readonly onItem?: (item: unknown) => void;
  /** Takes every complete top-level value; a stream may hold several, with or without white space between. */
  readonly onValue: (value: unknown) => void;
  /** Largest kept part of one value, bytes. */
  readonly maxKept?: number;
}

interface Frame {
  readonly array: boolean;
  /** The selection of the container's values; for an object it is asked per key. */
  readonly selection: Selection;
  /** Nothing of the container was kept yet, so the next part needs no comma. */
  empty: boolean;
  /** True when items are emitted one by one. */
  readonly each: boolean;
}

type State = 'value' | 'first' | 'key' | 'keyText' | 'colon' | 'after' | 'raw';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const MAX_DEPTH = 64;
const MAX_KEY = 1024;

/** First bytes of a JSON value: `"`, `{`, `[`, a number, `true`, `false`, `null`. */
const VALUE_STARTS: ReadonlySet<number> = new Set(Buffer.from('"{[-0123456789tfn'));

const isSpace = (byte: number): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;

/**
 * An incremental JSON reader that walks over what is not selected without building it: a Node of 18 KB costs a scan and a
 * parse of about 500 bytes, and a list needs no more memory than one item, however long the answer is.
 *
 * What is kept is checked by JSON.parse; of what is skipped only quotes and brackets are followed.
 */
export class JsonPruner {
  readonly #options: PrunerOptions;
  readonly #maxKept: number;
  readonly #decoder = new TextDecoder('utf-8', { fatal: true });
  #out = new Uint8Array(4096);
  #length = 0;
  /** Where the value begins that is being collected: 0, or the start of an item. */
  #starts: number[] = [0];
  #frames: Frame[] = [];
  #state: State = 'value';
  /** Selection of the value that comes next; undefined skips it. */
  #next: Selection | undefined;
  #keyStart = 0;
  // The raw value being copied or skipped.
  #copy = false;
  #depth = 0;
  #inString = false;
  #escaped = false;
  #consumed = 0;

  constructor(options: PrunerOptions) {
    this.#options = options;
    this.#next = options.selection;
    this.#maxKept = options.maxKept ?? 1 << 20;
  }

  /** Takes the next bytes. Throws JsonError; the pruner must not be used after that. */
  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#state === 'raw') at = this.#raw(chunk, at);
      else if (this.#state === 'keyText') at = this.#keyText(chunk, at);
      else {
        const byte = chunk[at] ?? 0;
        if (isSpace(byte)) at += 1;
        else at = this.#structure(byte, at);
      }
    }
    this.#consumed += chunk.length;
  }

  /** Call at the end of the stream; false when it stopped inside a value. Throws JsonError as `push` does. */
  complete(): boolean {
    // A number at the top level has no end of its own.
    const bare = this.#state === 'raw' && this.#depth === 0 && !this.#inString && this.#frames.length === 0;
    if (bare) this.#valueDone(0);
    return this.#state === 'value' && this.#frames.length === 0;
  }

  /** Handles one byte between tokens; returns where to go on. */
  #structure(byte: number, at: number): number {
    switch (this.#state) {
      case 'first':
        if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) return this.#close(byte, at);
        if (this.#frames.at(-1)?.array === true) return this.#startValue(byte, at);
        return this.#startKey(byte, at);
      case 'key':
        return this.#startKey(byte, at);
      case 'colon':
        if (byte !== COLON) throw this.#error(at, 'a colon is missing after a key');
        this.#state = 'value';
        return at + 1;
      case 'after':
        if (byte !== COMMA) return this.#close(byte, at);
        this.#state = this.#frames.at(-1)?.array === true ? 'value' : 'key';
        return at + 1;
      default:
        return this.#startValue(byte, at);
    }
  }

  #startKey(byte: number, at: number): number {
    const frame = this.#frames.at(-1);
    if (byte !== QUOTE || frame === undefined) throw this.#error(at, 'a key is missing');
    this.#keyStart = this.#length;
    if (!frame.empty) this.#put(COMMA);
    this.#put(QUOTE);
    this.#state = 'keyText';
    this.#escaped = false;
    return at + 1;
  }

  #keyText(chunk: Uint8Array, from: number): number {
    let at = from;
    for (; at < chunk.length; at += 1) {
      const byte = chunk[at];
      if (this.#escaped) this.#escaped = false;
      else if (byte === BACKSLASH) this.#escaped = true;
      else if (byte === QUOTE) break;
    }
    this.#append(chunk.subarray(from, at));
    if (this.#length - this.#keyStart > MAX_KEY)
      throw this.#error(at, `a key is longer than ${MAX_KEY} bytes`);
    if (at === chunk.length) return at;
    this.#put(QUOTE);
    this.#keyDone(at);
    this.#state = 'colon';
    return at + 1;
  }

  #keyDone(at: number): void {
    const frame = this.#frames.at(-1);
    if (frame?.selection.kind !== 'members') throw this.#error(at, 'a key outside an object');
    const start = this.#out[this.#keyStart] === COMMA ? this.#keyStart + 1 : this.#keyStart;
    const key = this.#parse(start, at);
    this.#next = typeof key === 'string' ? frame.selection.member(key) : undefined;
    if (this.#next === undefined) this.#length = this.#keyStart;
    else {
      this.#put(COLON);
      frame.empty = false;
    }
  }

  #startValue(byte: number, at: number): number {
    const frame = this.#frames.at(-1);
    if (frame?.array === true) this.#startItem(frame);
    const selection = this.#next;
    if (selection?.kind === 'members' && byte === OPEN_BRACE) {
      return this.#open(byte, at, { array: false, selection, empty: true, each: false });
    }
    if (selection?.kind === 'each' && byte === OPEN_BRACKET) {
      return this.#open(byte, at, { array: true, selection: selection.item, empty: true, each: true });
    }
    if (!VALUE_STARTS.has(byte)) throw this.#error(at, 'a value is missing');
    this.#state = 'raw';
    this.#copy = selection !== undefined;
    this.#depth = 0;
    this.#inString = false;
    this.#escaped = false;
    return at;
  }

  #startItem(frame: Frame): void {
    this.#starts.push(this.#length);
    this.#next = frame.selection;
    frame.empty = false;
  }

  #open(byte: number, at: number, frame: Frame): number {
    if (this.#frames.length >= MAX_DEPTH) throw this.#error(at, 'nested too deeply');
    this.#put(byte);
    this.#frames.push(frame);
    this.#state = 'first';
    return at + 1;
  }

  #close(byte: number, at: number): number {
    const frame = this.#frames.pop();
    if (frame === undefined || byte !== (frame.array ? CLOSE_BRACKET : CLOSE_BRACE)) {
      throw this.#error(at, 'a comma or a closing bracket is missing');
    }
    this.#put(byte);
    this.#valueDone(at);
    return at + 1;
  }

  /** A value is complete: goes back to its container, or emits it. */
  #valueDone(at: number): void {
    const frame = this.#frames.at(-1);
    if (frame === undefined) {
      const value = this.#parse(0, at);
      this.#length = 0;
      this.#state = 'value';
      this.#next = this.#options.selection;
      this.#options.onValue(value);
      return;
    }
    this.#state = 'after';
    if (!frame.each) return;
    const start = this.#starts.pop() ?? 0;
    const item = this.#parse(start, at);
    this.#length = start;
    this.#options.onItem?.(item);
  }

  /** Copies or skips one whole value; the hot loop. */
  #raw(chunk: Uint8Array, from: number): number {
    const end = chunk.length;
    let at = from;
    let depth = this.#depth;
    let inString = this.#inString;
    let done = false;
    // A value that ends only at the byte after it (a number, a literal) leaves that byte unread.
    while (at < end && !done) {
      if (inString) {
        at = this.#stringEnd(chunk, at);
        if (at === end) break;
        inString = false;
        at += 1;
        done = depth === 0;
        continue;
      }
      const byte = chunk[at] as number;
      if (byte === QUOTE) {
        inString = true;
      } else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
        depth += 1;
      } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
        if (depth === 0) break;
        depth -= 1;
        done = depth === 0;
      } else if (depth === 0 && (byte === COMMA || isSpace(byte))) break;
      at += 1;
    }
    this.#depth = depth;
    this.#inString = inString;
    if (this.#copy) this.#append(chunk.subarray(from, at));
    if (done || (at < end && !inString)) this.#valueDone(at);
    return at;
  }

  /** Index of the closing quote, or the chunk's length. */
  #stringEnd(chunk: Uint8Array, from: number): number {
    let at = from;
    const end = chunk.length;
    if (this.#escaped && at < end) {
      this.#escaped = false;
      at += 1;
    }
    while (at < end) {
      const byte = chunk[at];
      if (byte === QUOTE) return at;
      at += byte === BACKSLASH ? 2 : 1;
    }
    this.#escaped = at > end;
    return end;
  }

  #parse(start: number, at: number): unknown {
    try {
      return JSON.parse(this.#decoder.decode(this.#out.subarray(start, this.#length))) as unknown;
    } catch {
      throw this.#error(at, 'not valid JSON');
    }
  }

  #put(byte: number): void {
    this.#reserve(1);
    this.#out[this.#length] = byte;
    this.#length += 1;
  }

  #append(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#out.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  #reserve(more: number): void {
    const wanted = this.#length + more;
    if (wanted > this.#maxKept)
      throw this.#error(0, `more than ${this.#maxKept} bytes to keep of one object`);
    if (wanted <= this.#out.length) return;
    const grown = new Uint8Array(Math.max(wanted, this.#out.length * 2));
    grown.set(this.#out.subarray(0, this.#length));
    this.#out = grown;
  }

  #error(at: number, message: string): JsonError {
    return new JsonError(this.#consumed + at, message);
  }
}
