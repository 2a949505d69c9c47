import { keyOf } from './collection.ts';
import type { KubeObject, ObjectInput } from './object.ts';
import type { Resource } from './resources.ts';
import type { Store } from './store.ts';

/** Direct access to one resource, without HTTP and without the rules for clients: status may be set freely. */
export interface Objects {
  /** Stores it; a namespaced object without a namespace goes to `default`. Throws ApiError 409 when it exists. */
  create(object: ObjectInput): KubeObject;
  get(name: string, namespace?: string): KubeObject | undefined;
  /** Changes a copy and stores it. Throws ApiError 404. */
  update(name: string, change: (draft: KubeObject) => void, namespace?: string): KubeObject;
  /** False when there is none. */
  delete(name: string, namespace?: string): boolean;
  /** All, in key order; of one namespace when given. */
  list(namespace?: string): KubeObject[];
}

/** Every object handed out is the caller's own copy. */
export function objectsOf(store: Store, resource: Resource): Objects {
  const collection = store.collection(resource);
  const scope = (namespace?: string) => (resource.namespaced ? (namespace ?? 'default') : undefined);
  return {
    create(object) {
      const own = structuredClone(object);
      const namespace = scope(own.metadata.namespace);
      if (namespace !== undefined) own.metadata.namespace = namespace;
      return structuredClone(store.create(resource, own).object);
    },
    get(name, namespace) {
      const entry = collection.get(keyOf(scope(namespace), name));
      return entry === undefined ? undefined : structuredClone(entry.object);
    },
    update(name, change, namespace) {
      const stored = store.require(resource, scope(namespace), name);
      const draft = structuredClone(stored.object);
      change(draft);
      return structuredClone(store.update(resource, stored, store.merged(resource, stored, draft)).object);
    },
    delete(name, namespace) {
      const stored = collection.get(keyOf(scope(namespace), name));
      if (stored !== undefined) store.delete(resource, stored);
      return stored !== undefined;
    },
    list(namespace) {
      const entries = collection
        .entries()
        .filter((entry) => namespace === undefined || entry.key.startsWith(keyOf(namespace, '')));
      return entries.map((entry) => structuredClone(entry.object));
    },
  };
}
