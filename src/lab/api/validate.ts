import { isObject, type Json, type JsonObject, type KubeObject } from './object.ts';
import { apiVersionOf, type Resource } from './resources.ts';
import { badRequest, invalid } from './status.ts';

const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const QUALIFIED =
  /^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/)?[A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?$/;
const LABEL_VALUE = /^([A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?)?$/;
/** `TotalAnnotationSizeLimitB`, bytes of keys and values together. */
const ANNOTATIONS_LIMIT = 256 * 1024;

/**
 * Body of a create, an update or a patched object, checked as far as the server relies on it.
 * Throws 400 for another kind or a field of the wrong type, 422 for a value that the field does not allow.
 */
export function checkObject(body: Json, resource: Resource): KubeObject {
  if (!isObject(body)) throw badRequest(`the body is not a ${resource.kind} object`);
  const kind = body['kind'] ?? resource.kind;
  const apiVersion = body['apiVersion'] ?? apiVersionOf(resource);
  if (kind !== resource.kind || apiVersion !== apiVersionOf(resource)) {
    throw badRequest(
      `${JSON.stringify(kind)} in version ${JSON.stringify(apiVersion)} cannot be handled as a ${resource.kind} in version ${apiVersionOf(resource)}`,
    );
  }
  const metadata = body['metadata'] ?? {};
  if (!isObject(metadata)) throw wrongType('metadata', resource);
  for (const field of ['spec', 'status']) {
    const value = body[field];
    if (value !== undefined && value !== null && !isObject(value)) throw wrongType(field, resource);
  }
  for (const field of ['name', 'generateName', 'namespace', 'resourceVersion', 'uid']) {
    const value = metadata[field];
    if (value !== undefined && value !== null && typeof value !== 'string')
      throw wrongType(`metadata.${field}`, resource);
  }
  checkMaps(metadata, resource);
  return {
    ...pruned(body),
    kind: resource.kind,
    apiVersion: apiVersionOf(resource),
    metadata: pruned(metadata),
  } as KubeObject;
}

const wrongType = (field: string, resource: Resource) =>
  badRequest(
    `${resource.kind} in version ${JSON.stringify(resource.version)} cannot be handled as a ${resource.kind}: json: cannot unmarshal into field ${field}`,
  );

/** Null members count as absent, as in the Go types. */
function pruned(object: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(object).filter(([, value]) => value !== null && value !== undefined),
  );
}

function checkMaps(metadata: JsonObject, resource: Resource): void {
  for (const field of ['labels', 'annotations']) {
    const map = metadata[field];
    if (map === undefined || map === null) continue;
    if (!isObject(map)) throw wrongType(`metadata.${field}`, resource);
    for (const value of Object.values(map))
      if (typeof value !== 'string') throw wrongType(`metadata.${field}`, resource);
  }
}

/** Rules of `ValidateObjectMeta`. Throws 422. */
export function checkMetadata(object: KubeObject, resource: Resource): void {
  const { name, labels = {}, annotations = {} } = object.metadata;
  const subject = { ...resource, name };
  if (name === undefined || name === '')
    throw invalid(
      { ...subject, name: '' },
      'metadata.name',
      'Required value: name or generateName is required',
    );
  if (name.length > 253 || !SUBDOMAIN.test(name)) {
    throw invalid(
      subject,
      'metadata.name',
      `Invalid value: ${JSON.stringify(name)}: a lowercase RFC 1123 subdomain is required`,
    );
  }
  for (const [key, value] of Object.entries(labels)) {
    if (!QUALIFIED.test(key) || !LABEL_VALUE.test(value)) {
      throw invalid(
        subject,
        'metadata.labels',
        `Invalid value: ${JSON.stringify(`${key}=${value}`)}: not a valid label`,
      );
    }
  }
  let size = 0;
  for (const [key, value] of Object.entries(annotations)) {
    // Upper case is allowed in the prefix of an annotation, unlike in a label's.
    if (!QUALIFIED.test(key.toLowerCase())) {
      throw invalid(
        subject,
        'metadata.annotations',
        `Invalid value: ${JSON.stringify(key)}: not a qualified name`,
      );
    }
    size += Buffer.byteLength(key) + Buffer.byteLength(value);
  }
  if (size > ANNOTATIONS_LIMIT) {
    throw invalid(subject, 'metadata.annotations', `Too long: must have at most ${ANNOTATIONS_LIMIT} bytes`);
  }
}
