import type { Clock } from '#base/clock.ts';
import {
  eventLine,
  keyOf,
  type ChangeEvent,
  type Collection,
  type Entry,
  type EventType,
} from './collection.ts';
import { parseVersion } from './list.ts';
import type { JsonObject } from './object.ts';
import { eventFrame, framed } from './protobuf/wire.ts';
import { anyBytes, objectBytes, type Representation } from './representation.ts';
import { apiVersionOf, type Resource } from './resources.ts';
import { parseSelectors, type Predicate } from './selector.ts';
import { expired, invalid } from './status.ts';

/** Where a watch writes: the part of an HTTP response that it needs. */
export interface Sink {
  /** False when the peer is slower than we are: then the watch waits for `drained()`. */
  write(bytes: Uint8Array): boolean;
  end(): void;
  /** Breaks the connection without the final chunk, once `fragment` is out. */
  destroy(fragment?: Uint8Array): void;
}

export interface WatchOptions {
  readonly collection: Collection;
  readonly namespace: string | undefined;
  readonly query: URLSearchParams;
  readonly representation: Representation;
  readonly clock: Clock;
  readonly bookmarkIntervalMs: number;
  readonly sink: Sink;
}

/** Live events that may wait for a slow reader before its watch is ended. */
const QUEUE_LIMIT = 20_000;

/** Real servers choose between this and twice as long when the client names no timeout (`--min-request-timeout`), s. */
const DEFAULT_TIMEOUT = 1800;

/** The annotation of the bookmark that ends the initial events of a streaming list. */
const INITIAL_END = 'k8s.io/initial-events-end';

const FRAGMENT = '{"type":"MODIFIED","object":{"kind":"Node","apiVersion":"v1","metadata":{"na';

type Queued = Uint8Array | Entry;

/** One running watch: initial events, then changes, bookmarks and the end by timeout. */
export class Watch {
  readonly #options: WatchOptions;
  readonly #predicate: Predicate | undefined;
  readonly #timeoutMs: number;
  readonly #bookmarks: boolean;
  readonly #stop = new AbortController();
  #queue: Queued[] = [];
  #blocked = false;
  #stalled = false;
  #live = 0;
  #unsubscribe: () => void = () => {};

  /** Checks the query; throws the ApiError that answers it. Nothing is written before `start()`. */
  constructor(options: WatchOptions) {
    this.#options = options;
    const { query, collection } = options;
    this.#predicate = parseSelectors(query, collection.resource);
    this.#timeoutMs = Math.max(0, Number(query.get('timeoutSeconds') ?? '') || DEFAULT_TIMEOUT) * 1000;
    this.#bookmarks = isTrue(query.get('allowWatchBookmarks'));
    checkInitialEvents(query);
    parseVersion(query.get('resourceVersion'));
  }

  get open(): boolean {
    return !this.#stop.signal.aborted;
  }

  start(): void {
    const { collection, query } = this.#options;
    const from = parseVersion(query.get('resourceVersion')) ?? 0;
    const streaming = isTrue(query.get('sendInitialEvents'));
    const skipsState = query.get('sendInitialEvents') === 'false';
    if (streaming || (from === 0 && !skipsState)) this.#queueState();
    else if (from > 0 && !this.#queueSince(from)) return;
    if (streaming && this.#bookmarks) this.#queue.push(this.#bookmark({ [INITIAL_END]: 'true' }));
    this.#unsubscribe = collection.subscribe((event) => this.#onChange(event));
    this.#pump();
    void this.#runBookmarks();
    void this.#runTimeout();
  }

  #queueState(): void {
    for (const entry of this.#options.collection.entries()) if (this.#wants(entry)) this.#queue.push(entry);
  }

  /** False when the history is gone: then the watch has told so and ended, with an ERROR event as real servers do. */
  #queueSince(from: number): boolean {
    const { collection } = this.#options;
    const events = collection.since(from);
    if (events === undefined) {
      const error = expired(`too old resource version: ${from} (${collection.compacted})`);
      this.#write(eventBytes('ERROR', error.toStatus(), this.#options.representation.wire));
      this.end();
      return false;
    }
    for (const event of events) this.#enqueue(event);
    return true;
  }

  #wants(entry: Entry | undefined): entry is Entry {
    if (entry === undefined) return false;
    const { namespace } = this.#options;
    if (namespace !== undefined && !entry.key.startsWith(keyOf(namespace, ''))) return false;
    return this.#predicate === undefined || this.#predicate(entry.object);
  }

  #onChange(event: ChangeEvent): void {
    this.#enqueue(event);
    this.#pump();
    if (this.#live > QUEUE_LIMIT) this.end();
  }

  /** An object that enters or leaves the selection is added or deleted for this watcher. */
  #enqueue(event: ChangeEvent): void {
    const was = this.#wants(event.previous);
    const is = event.type !== 'DELETED' && this.#wants(event.entry);
    if (!was && !is) return;
    const type: EventType = !was ? 'ADDED' : is ? 'MODIFIED' : 'DELETED';
    this.#live += 1;
    this.#queue.push(this.#line(type, event));
  }

  #line(type: EventType, event: ChangeEvent): Uint8Array {
    const { form, wire } = this.#options.representation;
    if (form === 'object' && type === event.type) return wire === 'protobuf' ? event.frame : event.line;
    const leaves = type === 'DELETED' && event.type !== 'DELETED' && event.previous !== undefined;
    return this.#lineOf(type, leaves ? event.previous.at(event.version) : event.entry);
  }

  #lineOf(type: EventType, entry: Entry): Uint8Array {
    const { representation, collection, clock } = this.#options;
    const object = objectBytes(entry, { resource: collection.resource, representation, now: clock.now() });
    return representation.wire === 'protobuf' ? eventFrame(type, object) : eventLine(type, object);
  }

  /** Lines as they are; initial entries become lines only when it is their turn. */
  #pump(): void {
    if (this.#blocked || this.#stalled || !this.open) return;
    let at = 0;
    while (at < this.#queue.length && !this.#blocked) {
      const item = this.#queue[at++];
      if (item !== undefined) this.#write(item instanceof Uint8Array ? item : this.#lineOf('ADDED', item));
    }
    this.#queue = at === this.#queue.length ? [] : this.#queue.slice(at);
    if (this.#queue.length === 0) this.#live = 0;
  }

  #write(bytes: Uint8Array): void {
    if (!this.#options.sink.write(bytes)) this.#blocked = true;
  }

  /** The sink takes bytes again. */
  drained(): void {
    this.#blocked = false;
    this.#pump();
  }

  #bookmark(annotations?: JsonObject): Uint8Array {
    const { resource, revision } = this.#options.collection;
    const object = bookmark(resource, revision.current, annotations);
    return eventBytes('BOOKMARK', object, this.#options.representation.wire);
  }

  async #runBookmarks(): Promise<void> {
    const { clock, bookmarkIntervalMs } = this.#options;
    while (this.#bookmarks && this.open) {
      if (!(await slept(clock, bookmarkIntervalMs, this.#stop.signal))) return;
      this.inject(this.#bookmark());
    }
  }

  async #runTimeout(): Promise<void> {
    if (!(await slept(this.#options.clock, this.#timeoutMs, this.#stop.signal))) return;
    if (this.#bookmarks) this.inject(this.#bookmark());
    if (this.#stalled) return;
    this.end();
  }

  /** Writes the line in its turn. */
  inject(line: Uint8Array): void {
    this.#queue.push(line);
    this.#pump();
  }

  /** Writes the last `count` changes once more, as a server does whose memory is behind. */
  replay(count: number): void {
    const { collection } = this.#options;
    const events = collection.since(collection.compacted) ?? [];
    for (const event of events.slice(-count)) this.#enqueue(event);
    this.#pump();
  }

  /** Stops or resumes writing while the connection stays open, like a peer that died without a word. */
  stall(on: boolean): void {
    this.#stalled = on;
    this.#pump();
  }

  /** Ends the answer in order, as at a timeout. */
  end(): void {
    if (this.close()) this.#options.sink.end();
  }

  /** Sends something that a reader cannot understand: the line as it stands, in protobuf as the content of an event. */
  garble(line: Uint8Array): void {
    this.inject(this.#options.representation.wire === 'protobuf' ? framed(line) : line);
  }

  /** Breaks the connection inside an event. */
  tear(): void {
    const fragment = Buffer.from(FRAGMENT);
    // In protobuf the length promises more than what comes.
    const torn = () => framed(Buffer.concat([fragment, fragment])).subarray(0, fragment.length);
    this.cut(this.#options.representation.wire === 'protobuf' ? torn() : fragment);
  }

  /** Breaks the connection, after `fragment` when given. */
  cut(fragment?: Uint8Array): void {
    if (this.close()) this.#options.sink.destroy(fragment);
  }

  /** Forgets the watch; false when it already was. */
  close(): boolean {
    if (!this.open) return false;
    this.#stop.abort();
    this.#unsubscribe();
    this.#queue = [];
    return true;
  }
}

function isTrue(value: string | null): boolean {
  return value === 'true' || value === '1';
}

/** Rules of `ValidateListOptions` for watches. */
function checkInitialEvents(query: URLSearchParams): void {
  const subject = { plural: 'ListOptions', group: 'meta.k8s.io', kind: 'ListOptions', name: '' };
  const match = query.get('resourceVersionMatch') ?? '';
  if (query.has('sendInitialEvents')) {
    if (match !== 'NotOlderThan') {
      throw invalid(
        subject,
        'resourceVersionMatch',
        'Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan',
      );
    }
  } else if (match !== '') {
    throw invalid(
      subject,
      'resourceVersionMatch',
      'Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided',
    );
  }
}

type Plain = JsonObject & { readonly kind: string; readonly apiVersion: string };

/** An event with an object that is not stored. */
function eventBytes(type: 'BOOKMARK' | 'ERROR', object: Plain, wire: Representation['wire']): Uint8Array {
  const bytes = anyBytes(object, wire);
  return wire === 'protobuf' ? eventFrame(type, bytes) : eventLine(type, bytes);
}

/** A bookmark: an object with nothing but its kind and the revision that the watcher has seen. */
function bookmark(resource: Resource, version: number, annotations?: JsonObject): Plain {
  const metadata = {
    resourceVersion: String(version),
    creationTimestamp: null,
    ...(annotations === undefined ? {} : { annotations }),
  };
  return { kind: resource.kind, apiVersion: apiVersionOf(resource), metadata, spec: {}, status: {} };
}

/** False when the wait was cut short. */
async function slept(clock: Clock, ms: number, signal: AbortSignal): Promise<boolean> {
  try {
    // setTimeout takes at most 2^31 - 1 ms.
    await clock.sleep(Math.min(ms, 0x7fffffff), signal);
    return true;
  } catch {
    return false;
  }
}
