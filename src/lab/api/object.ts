/** What JSON.parse can give; `undefined` members are left out when written. */
export type Json = null | boolean | number | string | Json[] | JsonObject;
export interface JsonObject {
  [key: string]: Json | undefined;
}

/** The parts of `meta/v1 ObjectMeta` that the server itself reads or writes. */
export interface ObjectMeta extends JsonObject {
  name: string;
  namespace?: string;
  uid?: string;
  /** The store's revision at the object's last change, decimal. */
  resourceVersion?: string;
  /** RFC 3339 in UTC, whole seconds. */
  creationTimestamp?: string;
  deletionTimestamp?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
}

/** A stored object: always with kind, apiVersion and a name. */
export interface KubeObject extends JsonObject {
  kind: string;
  apiVersion: string;
  metadata: ObjectMeta;
  spec?: JsonObject;
  status?: JsonObject;
}

/** What a caller gives to create an object: kind and apiVersion are the collection's. */
export interface ObjectInput extends JsonObject {
  metadata: ObjectMeta;
  spec?: JsonObject;
  status?: JsonObject;
}

/** True for a JSON object (not null, not a list). */
export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value at a dotted path of plain field names, e.g. `spec.nodeName`. */
export function valueAt(object: JsonObject, path: string): Json | undefined {
  let value: Json | undefined = object;
  for (const part of path.split('.')) {
    if (!isObject(value) || !Object.hasOwn(value, part)) return undefined;
    value = value[part];
  }
  return value;
}

/** The plain value at a dotted path as text; undefined for what is absent, null or no plain value. */
export function textAt(object: JsonObject, path: string): string | undefined {
  const value = valueAt(object, path);
  return value === undefined || value === null || typeof value === 'object' ? undefined : String(value);
}

/** A time as Kubernetes writes it: RFC 3339, UTC, whole seconds. */
export function timestamp(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
