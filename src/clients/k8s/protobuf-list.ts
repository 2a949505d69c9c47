import { Gatherer } from './gatherer.ts';
import { decodeMessage, fixedLength, kindOf, MAGIC, ProtobufError, UNKNOWN, WIRE } from './protobuf.ts';
import { LIST_META } from './protobuf-shapes.ts';
import { MAX_OBJECT, type ProtobufOptions } from './protobuf-options.ts';
import { ALL } from './selection.ts';

export interface ProtobufListOptions extends ProtobufOptions {
  readonly onItem: (item: unknown) => void;
}

type State = 'magic' | 'tag' | 'length' | 'number' | 'keep' | 'skip';

/** Fields of the messages NodeList, PodList ...: all lists have these. */
const LIST = { METADATA: 1, ITEMS: 2 } as const;

/**
 * Reads a list as it streams in: the envelope, in it the list, of it one item after another. Needs the memory of one item, however
 * long the answer is, and of an item only what is selected is looked at.
 */
export class ProtobufList {
  readonly #options: ProtobufListOptions;
  readonly #max: number;
  readonly #gatherer = new Gatherer();
  #state: State = 'magic';
  /** Bytes left of the list; undefined outside of it, in the envelope. */
  #left: number | undefined;
  /** The list has begun: an answer that was cut off in front of it is no empty list. */
  #begun = false;
  /** The byte that has just been read was the last in front of the list. */
  #entered = false;
  #field = 0;
  #value = 0;
  #scale = 1;
  /** Bytes of the present field that are still to come (skip) or that it has (keep). */
  #wanted = MAGIC.length;
  #consumed = 0;
  #kind = '';
  #metadata: Record<string, unknown> = {};

  constructor(options: ProtobufListOptions) {
    this.#options = options;
    this.#max = options.maxObject ?? MAX_OBJECT;
  }

  /** What was around the items: as the same list in JSON, its items empty; undefined `items` when it is no list. */
  get root(): { readonly metadata: unknown; readonly items: readonly unknown[] | undefined } {
    return { metadata: this.#metadata, items: this.#kind.endsWith('List') ? [] : undefined };
  }

  /** Takes the next bytes. Throws ProtobufError; the reader must not be used after that. */
  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      const used = this.#step(chunk, at);
      at += used;
      this.#consumed += used;
      this.#count(used);
    }
  }

  /** False when the stream stopped inside the answer. */
  complete(): boolean {
    return this.#begun && this.#state === 'tag' && this.#scale === 1 && this.#left === undefined;
  }

  /** Handles some bytes; returns how many. */
  #step(chunk: Uint8Array, at: number): number {
    if (this.#state === 'tag' || this.#state === 'length' || this.#state === 'number') {
      this.#digit(chunk[at] as number);
      return 1;
    }
    if (this.#state === 'skip') {
      const used = Math.min(this.#wanted, chunk.length - at);
      this.#wanted -= used;
      if (this.#wanted === 0) this.#state = 'tag';
      return used;
    }
    const used = this.#gatherer.share(chunk, at, this.#wanted);
    const bytes = this.#gatherer.take(chunk, at, this.#wanted);
    if (bytes !== undefined) this.#kept(bytes);
    return used;
  }

  /** Counts down what is left of the list. */
  #count(used: number): void {
    if (this.#left === undefined || this.#entered) {
      this.#entered = false;
      return;
    }
    this.#left -= used;
    if (this.#left === 0 && this.#state === 'tag' && this.#scale === 1) this.#left = undefined;
    else if (this.#left <= 0) throw this.#error('a field leads outside its list');
  }

  /** One byte of a varint. */
  #digit(byte: number): void {
    this.#value += (byte & 0x7f) * this.#scale;
    if (byte >= 0x80) {
      this.#scale *= 128;
      if (this.#scale > 2 ** 63) throw this.#error('a number has no end');
      return;
    }
    const value = this.#value;
    this.#value = 0;
    this.#scale = 1;
    if (this.#state === 'tag') this.#tag(value);
    else if (this.#state === 'number') this.#state = 'tag';
    else this.#body(value);
  }

  #tag(tag: number): void {
    this.#field = Math.floor(tag / 8);
    const wire = tag % 8;
    if (this.#field === 0 || tag > 0xffff_ffff) throw this.#error('no field has that number');
    if (wire === WIRE.VARINT) this.#state = 'number';
    else if (wire === WIRE.BYTES) this.#state = 'length';
    else {
      this.#state = 'skip';
      this.#wanted = fixedLength(wire, this.#consumed);
    }
  }

  /** A field of `length` bytes begins. */
  #body(length: number): void {
    if (this.#left !== undefined && length >= this.#left) throw this.#error('a field leads outside its list');
    if (this.#left === undefined && this.#field === UNKNOWN.RAW) {
      this.#begun = true;
      // The kind comes first. What is no list is skipped; the caller says so.
      if (length > 0 && (this.#kind === '' || this.#kind.endsWith('List'))) {
        this.#state = 'tag';
        this.#left = length;
        this.#entered = true;
        return;
      }
    }
    const known = this.#left === undefined ? [UNKNOWN.TYPE_META] : [LIST.METADATA, LIST.ITEMS];
    const keep = known.some((field) => field === this.#field);
    if (keep && length > this.#max) throw this.#error(`an object of ${length} bytes`);
    this.#wanted = length;
    if (length > 0) this.#state = keep ? 'keep' : 'skip';
    else {
      this.#state = 'tag';
      if (keep) this.#kept(new Uint8Array(0));
    }
  }

  #kept(bytes: Uint8Array): void {
    if (this.#state === 'magic') {
      if (MAGIC.some((byte, at) => bytes[at] !== byte))
        throw this.#error('it does not begin with the magic of Kubernetes');
    } else if (this.#left === undefined) this.#kind = kindOf(bytes);
    else if (this.#field === LIST.METADATA) this.#metadata = decodeMessage(bytes, LIST_META, ALL);
    else this.#options.onItem(decodeMessage(bytes, this.#options.shape, this.#options.select));
    this.#state = 'tag';
  }

  #error(message: string): ProtobufError {
    return new ProtobufError(this.#consumed, message);
  }
}
