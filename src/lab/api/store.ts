import type { Clock } from '#base/clock.ts';
import { Collection, keyOf, Revision, type Entry } from './collection.ts';
import { timestamp, type KubeObject, type ObjectInput } from './object.ts';
import { apiVersionOf, RESOURCES, type Resource } from './resources.ts';
import { alreadyExists, conflict, modified, notFound, type Subject } from './status.ts';

/** The namespaces that every cluster begins with. */
const FIRST_NAMESPACES = ['default', 'kube-node-lease', 'kube-public', 'kube-system'];

export interface StoreOptions {
  readonly historyLimit: number;
  readonly clock: Clock;
}

/** All collections under one revision, and the writes that hold whoever writes. */
export class Store {
  readonly clock: Clock;
  readonly revision = new Revision();
  readonly #collections: ReadonlyMap<Resource, Collection>;

  constructor(options: StoreOptions) {
    this.clock = options.clock;
    const { revision } = this;
    this.#collections = new Map(
      RESOURCES.map((resource) => [
        resource,
        new Collection({ resource, revision, historyLimit: options.historyLimit }),
      ]),
    );
    for (const name of FIRST_NAMESPACES) {
      this.create(resourceOf('namespaces'), {
        metadata: { name },
        spec: { finalizers: ['kubernetes'] },
        status: { phase: 'Active' },
      });
    }
  }

  collections(): Iterable<Collection> {
    return this.#collections.values();
  }

  collection(resource: Resource): Collection {
    const collection = this.#collections.get(resource);
    if (collection === undefined) throw notFound({ ...resource, name: '' });
    return collection;
  }

  /** The entry, or a 404. */
  require(resource: Resource, namespace: string | undefined, name: string): Entry {
    const entry = this.collection(resource).get(keyOf(namespace, name));
    if (entry === undefined) throw notFound({ ...resource, name });
    return entry;
  }

  /** Stores a new object; gives it uid and creation time. Throws 404 for its namespace, 409 when it exists. */
  create(resource: Resource, object: ObjectInput): Entry {
    const { name, namespace } = object.metadata;
    if (namespace !== undefined) this.require(resourceOf('namespaces'), undefined, namespace);
    const collection = this.collection(resource);
    if (collection.get(keyOf(namespace, name)) !== undefined) throw alreadyExists({ ...resource, name });
    const { uid: _uid, creationTimestamp: _created, ...metadata } = object.metadata;
    const made = { uid: crypto.randomUUID(), creationTimestamp: timestamp(this.clock.now()) };
    return collection.put({
      ...object,
      kind: resource.kind,
      apiVersion: apiVersionOf(resource),
      metadata: { ...metadata, ...made },
    });
  }

  /** The stored state that `object` would become; identity and creation stay as stored. Throws 409. */
  merged(resource: Resource, stored: Entry, object: KubeObject): KubeObject {
    const subject: Subject = { ...resource, name: object.metadata.name };
    const old = stored.object.metadata;
    const { resourceVersion, uid } = object.metadata;
    if (uid !== undefined && uid !== '' && uid !== old.uid) {
      throw conflict(
        subject,
        `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${old.uid ?? ''}`,
      );
    }
    if (resourceVersion !== undefined && resourceVersion !== '' && resourceVersion !== old.resourceVersion)
      throw modified(subject);
    const kept = ['uid', 'creationTimestamp', 'deletionTimestamp', 'resourceVersion'] as const;
    const metadata: KubeObject['metadata'] = { ...object.metadata };
    for (const field of kept) {
      const value = old[field];
      if (value === undefined) delete metadata[field];
      else metadata[field] = value;
    }
    return { ...object, metadata };
  }

  /** Stores a changed object. One that does not differ keeps its revision, and nobody hears of it. */
  update(resource: Resource, stored: Entry, object: KubeObject): Entry {
    if (Bun.deepEquals(stored.object, object, true)) return stored;
    const collection = this.collection(resource);
    const finalizers = object.metadata['finalizers'];
    const waits = Array.isArray(finalizers) && finalizers.length > 0;
    const entry = collection.put(object);
    return object.metadata.deletionTimestamp === undefined || waits ? entry : collection.remove(entry);
  }

  /** Removes the object, or marks it when finalizers hold it. A namespace takes its objects with it. */
  delete(resource: Resource, stored: Entry): { entry: Entry; gone: boolean } {
    const collection = this.collection(resource);
    const { metadata } = stored.object;
    const finalizers = metadata['finalizers'];
    if (Array.isArray(finalizers) && finalizers.length > 0) {
      if (metadata.deletionTimestamp !== undefined) return { entry: stored, gone: false };
      const deletionTimestamp = timestamp(this.clock.now());
      return {
        entry: collection.put({ ...stored.object, metadata: { ...metadata, deletionTimestamp } }),
        gone: false,
      };
    }
    if (resource.plural === 'namespaces') this.#empty(metadata.name);
    return { entry: collection.remove(stored), gone: true };
  }

  #empty(namespace: string): void {
    for (const collection of this.#collections.values()) {
      if (!collection.resource.namespaced) continue;
      for (const entry of collection.entries())
        if (entry.key.startsWith(keyOf(namespace, ''))) collection.remove(entry);
    }
  }
}

/** A resource of the table by its plural name. */
export function resourceOf(plural: string): Resource {
  const resource = RESOURCES.find((known) => known.plural === plural);
  if (resource === undefined) throw notFound({ plural, group: '', name: plural });
  return resource;
}
