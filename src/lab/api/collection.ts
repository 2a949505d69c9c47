import type { KubeObject } from './object.ts';
import { envelope, eventFrame, messageBytes, speaksProtobuf } from './protobuf/wire.ts';
import { apiVersionOf, type Resource } from './resources.ts';

const encoder = new TextEncoder();

/** The server's revision: one counter for all collections, as etcd's. */
export class Revision {
  #value = 1;

  get current(): number {
    return this.#value;
  }

  next(): number {
    this.#value += 1;
    return this.#value;
  }
}

/** One object at one revision; never changed. Its JSON is written once, for every list and watch. */
export class Entry {
  /** `namespace/name`, or the name of a cluster-scoped object: the order of lists. */
  readonly key: string;
  readonly version: number;
  readonly #type: { readonly kind: string; readonly apiVersion: string };
  #object: KubeObject | undefined;
  #bytes: Uint8Array | undefined;
  #protobuf: Uint8Array | undefined;

  constructor(object: KubeObject, version: number) {
    this.key = keyOf(object.metadata.namespace, object.metadata.name);
    this.version = version;
    this.#type = { kind: object.kind, apiVersion: object.apiVersion };
    this.#object = object;
  }

  /** Must not be changed by the caller. */
  get object(): KubeObject {
    return this.#object ?? (JSON.parse(new TextDecoder().decode(this.#bytes)) as KubeObject);
  }

  /** UTF-8 JSON; begins with `prefixOf(resource)`. */
  get bytes(): Uint8Array {
    this.#bytes ??= encoder.encode(JSON.stringify(this.#object));
    return this.#bytes;
  }

  /** The object in protobuf, without its envelope. Only of a kind that has that form. */
  get protobuf(): Uint8Array {
    this.#protobuf ??= messageBytes(this.#type.kind, this.object);
    return this.#protobuf;
  }

  /** The object in protobuf, in its envelope. */
  get enveloped(): Uint8Array {
    const { kind, apiVersion } = this.#type;
    return envelope(kind, apiVersion, this.protobuf);
  }

  /** The same state under another revision. */
  at(version: number): Entry {
    const { metadata, ...rest } = this.object;
    return new Entry({ ...rest, metadata: { ...metadata, resourceVersion: String(version) } }, version);
  }

  /** Keeps the bytes alone: a fat object as JavaScript values takes several times their room. */
  shrink(): void {
    void this.bytes;
    if (speaksProtobuf(this.#type.kind)) void this.protobuf;
    this.#object = undefined;
  }
}

export type EventType = 'ADDED' | 'MODIFIED' | 'DELETED';

/** One change. Watchers share the bytes of its line. */
export class ChangeEvent {
  readonly type: EventType;
  readonly entry: Entry;
  readonly previous: Entry | undefined;
  #line: Uint8Array | undefined;
  #frame: Uint8Array | undefined;

  constructor(type: EventType, entry: Entry, previous: Entry | undefined) {
    this.type = type;
    this.entry = entry;
    this.previous = previous;
  }

  get version(): number {
    return this.entry.version;
  }

  /** The watch line of the event as it happened. */
  get line(): Uint8Array {
    this.#line ??= eventLine(this.type, this.entry.bytes);
    return this.#line;
  }

  /** The same in protobuf. */
  get frame(): Uint8Array {
    this.#frame ??= eventFrame(this.type, this.entry.enveloped);
    return this.#frame;
  }
}

/** `{"type":...,"object":...}` and a newline. */
export function eventLine(type: EventType | 'BOOKMARK' | 'ERROR', object: Uint8Array): Uint8Array {
  return Buffer.concat([encoder.encode(`{"type":"${type}","object":`), object, encoder.encode('}\n')]);
}

export function keyOf(namespace: string | undefined, name: string): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}

/** What every stored object of a resource begins with, so that lists can leave kind and apiVersion out of items. */
export function prefixOf(resource: Resource): string {
  return `{"kind":${JSON.stringify(resource.kind)},"apiVersion":${JSON.stringify(apiVersionOf(resource))},`;
}

export interface CollectionOptions {
  readonly resource: Resource;
  readonly revision: Revision;
  /** How many events stay available for watches and older snapshots. */
  readonly historyLimit: number;
}

/** The objects of one resource, their recent changes, and who listens to them. */
export class Collection {
  readonly resource: Resource;
  readonly revision: Revision;
  readonly #limit: number;
  readonly #entries = new Map<string, Entry>();
  readonly #listeners = new Set<(event: ChangeEvent) => void>();
  #sorted: readonly Entry[] | undefined;
  #snapshot: { version: number; entries: readonly Entry[] } | undefined;
  #history: ChangeEvent[] = [];
  /** The newest revision that may be missing from the history: nothing older can be served exactly. */
  #compacted = 0;

  constructor(options: CollectionOptions) {
    this.resource = options.resource;
    this.revision = options.revision;
    this.#limit = options.historyLimit;
  }

  get compacted(): number {
    return this.#compacted;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): Entry | undefined {
    return this.#entries.get(key);
  }

  /** Stores the object, new or changed, under the next revision. */
  put(object: KubeObject): Entry {
    const key = keyOf(object.metadata.namespace, object.metadata.name);
    const previous = this.#entries.get(key);
    const entry = this.#stamp(object);
    this.#entries.set(key, entry);
    this.#publish(new ChangeEvent(previous === undefined ? 'ADDED' : 'MODIFIED', entry, previous));
    return entry;
  }

  /** Removes the entry; its last state carries the revision of the removal, as watchers see it. */
  remove(previous: Entry): Entry {
    const entry = this.#stamp(previous.object);
    this.#entries.delete(previous.key);
    this.#publish(new ChangeEvent('DELETED', entry, previous));
    return entry;
  }

  /** All entries in key order. */
  entries(): readonly Entry[] {
    this.#sorted ??= [...this.#entries.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
    return this.#sorted;
  }

  /** The entries as they were at `version`; undefined when the history no longer reaches back to it. */
  at(version: number): readonly Entry[] | undefined {
    if (version < this.#compacted) return undefined;
    const last = this.#history.at(-1);
    if (last === undefined || last.version <= version) return this.entries();
    if (this.#snapshot?.version !== version) this.#snapshot = { version, entries: this.#rewind(version) };
    return this.#snapshot.entries;
  }

  #rewind(version: number): readonly Entry[] {
    const entries = new Map(this.#entries);
    for (const event of this.#history.toReversed()) {
      if (event.version <= version) break;
      if (event.previous === undefined) entries.delete(event.entry.key);
      else entries.set(event.entry.key, event.previous);
    }
    return [...entries.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  /** The events after `version` in order; undefined when some of them are forgotten. */
  since(version: number): readonly ChangeEvent[] | undefined {
    if (version < this.#compacted) return undefined;
    const from = this.#history.findLastIndex((event) => event.version <= version);
    return this.#history.slice(from + 1);
  }

  /** Forgets the history: every revision handed out so far is too old from now on. */
  expire(): void {
    this.#history = [];
    this.#snapshot = undefined;
    this.#compacted = this.revision.next();
  }

  /** Calls back on each change, in order and synchronously; returns how to stop. */
  subscribe(listener: (event: ChangeEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #stamp(object: KubeObject): Entry {
    const version = this.revision.next();
    const { resource } = this;
    const { kind: _kind, apiVersion: _apiVersion, metadata, ...rest } = object;
    const stamped = { kind: resource.kind, apiVersion: apiVersionOf(resource) };
    return new Entry(
      { ...stamped, metadata: { ...metadata, resourceVersion: String(version) }, ...rest },
      version,
    );
  }

  #publish(event: ChangeEvent): void {
    this.#sorted = undefined;
    this.#snapshot = undefined;
    this.#history.push(event);
    while (this.#history.length > this.#limit)
      this.#compacted = this.#history.shift()?.version ?? this.#compacted;
    for (const listener of this.#listeners) listener(event);
  }
}
