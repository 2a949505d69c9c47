import type { Entry } from './collection.ts';
import { isObject, type Json, type JsonObject, type KubeObject } from './object.ts';
import { jsonPatch } from './patch/json-patch.ts';
import { mergePatch } from './patch/merge.ts';
import { strategicMerge } from './patch/strategic.ts';
import type { ResourceRequest } from './request.ts';
import { badRequest, conflict, unsupportedMediaType } from './status.ts';
import type { Store } from './store.ts';
import { prepareCreate, prepareUpdate } from './strategy.ts';
import { checkMetadata, checkObject } from './validate.ts';

/** A write request with its body. */
export interface WriteRequest extends ResourceRequest {
  readonly body: Uint8Array;
  /** Media type without parameters, lower case. */
  readonly contentType: string;
  readonly query: URLSearchParams;
}

/** An answer in JSON: the object, or another body. */
export interface Written {
  readonly code: number;
  readonly body: JsonObject;
}

const PATCHES = [
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
] as const;

function parseJson(bytes: Uint8Array): Json {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as Json;
  } catch (error) {
    throw badRequest(
      `the object provided is unrecognized: the body is not JSON: ${(error as Error).message}`,
    );
  }
}

function parseBody(request: WriteRequest): Json {
  // No content type counts as JSON, as on real servers.
  if (request.contentType !== '' && request.contentType !== 'application/json')
    throw unsupportedMediaType('application/json');
  return parseJson(request.body);
}

const isDry = (request: WriteRequest) => request.query.get('dryRun') === 'All';

/** POST. Throws 400, 404, 409, 415, 422. */
export function create(store: Store, request: WriteRequest): Written {
  const { resource, namespace } = request;
  const given = checkObject(parseBody(request), resource);
  const object = placed(named(given), namespace);
  if ((object.metadata.resourceVersion ?? '') !== '')
    throw badRequest('resourceVersion should not be set on objects to be created');
  checkMetadata(object, resource);
  const prepared = prepareCreate(object, resource);
  if (isDry(request)) return { code: 201, body: prepared };
  return { code: 201, body: store.create(resource, prepared).object };
}

/** Fills the name from `generateName` with five more characters, as `names.SimpleNameGenerator`. */
function named(object: KubeObject): KubeObject {
  const { name, generateName } = object.metadata;
  if ((name !== undefined && name !== '') || typeof generateName !== 'string' || generateName === '')
    return object;
  const suffix = crypto.randomUUID().replaceAll('-', '').slice(0, 5);
  return { ...object, metadata: { ...object.metadata, name: `${generateName.slice(0, 58)}${suffix}` } };
}

function placed(object: KubeObject, namespace: string | undefined): KubeObject {
  const given = object.metadata.namespace ?? '';
  if (given !== '' && given !== namespace)
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  const { namespace: _given, ...metadata } = object.metadata;
  const place = namespace === undefined ? {} : { namespace };
  return { ...object, metadata: { ...metadata, ...place } };
}

/** PUT on the object or its status. */
export function update(store: Store, request: WriteRequest): Written {
  const object = checkObject(parseBody(request), request.resource);
  const stored = store.require(request.resource, request.namespace, request.name);
  return commit(store, request, { stored, object });
}

/** PATCH on the object or its status, in one of the three media types. */
export function patch(store: Store, request: WriteRequest): Written {
  const { resource, contentType } = request;
  const kind = PATCHES.find((known) => known === contentType);
  if (kind === undefined) throw unsupportedMediaType(PATCHES.join(', '));
  const stored = store.require(resource, request.namespace, request.name);
  const document = parseJson(request.body);
  if (kind === 'application/json-patch+json') {
    return commit(store, request, {
      stored,
      object: checkObject(jsonPatch(stored.object, document), resource),
    });
  }
  if (!isObject(document)) throw badRequest('a merge patch is an object');
  const patched =
    kind === 'application/merge-patch+json'
      ? mergePatch(stored.object, document)
      : strategicMerge(stored.object, document, resource.schema);
  return commit(store, request, { stored, object: checkObject(patched, resource) });
}

function commit(store: Store, request: WriteRequest, change: { stored: Entry; object: KubeObject }): Written {
  const { resource, namespace, name } = request;
  if (change.object.metadata.name !== name) {
    throw badRequest(
      `the name of the object (${change.object.metadata.name}) does not match the name on the URL (${name})`,
    );
  }
  const merged = store.merged(resource, change.stored, placed(change.object, namespace));
  const prepared = prepareUpdate(merged, change.stored.object, request);
  checkMetadata(prepared, resource);
  if (isDry(request)) return { code: 200, body: prepared };
  return { code: 200, body: store.update(resource, change.stored, prepared).object };
}

/** DELETE of one object; the body may hold DeleteOptions with preconditions. */
export function remove(store: Store, request: WriteRequest): Written {
  const { resource, name } = request;
  const stored = store.require(resource, request.namespace, name);
  checkPreconditions(request, stored);
  const { metadata } = stored.object;
  if (isDry(request)) return { code: 200, body: stored.object };
  const { entry, gone } = store.delete(resource, stored);
  // Pods answer with themselves (`ReturnDeletedObject`), and so does whatever is only marked.
  if (!gone || resource.plural === 'pods') return { code: 200, body: entry.object };
  const group = resource.group === '' ? {} : { group: resource.group };
  const details = { name, ...group, kind: resource.plural, uid: metadata.uid };
  return { code: 200, body: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details } };
}

function checkPreconditions(request: WriteRequest, stored: Entry): void {
  if (request.body.length === 0) return;
  const options = parseBody(request);
  const preconditions = isObject(options) ? options['preconditions'] : undefined;
  if (!isObject(preconditions)) return;
  const { uid, resourceVersion } = stored.object.metadata;
  const subject = { ...request.resource, name: request.name };
  if (preconditions['uid'] !== undefined && preconditions['uid'] !== uid) {
    throw conflict(
      subject,
      `Precondition failed: UID in precondition: ${JSON.stringify(preconditions['uid'])}, UID in object meta: ${uid ?? ''}`,
    );
  }
  if (
    preconditions['resourceVersion'] !== undefined &&
    preconditions['resourceVersion'] !== resourceVersion
  ) {
    throw conflict(subject, 'Precondition failed: ResourceVersion in precondition does not match the object');
  }
}
