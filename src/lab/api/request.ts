import { noSuchResource } from './status.ts';
import { apiVersionOf, RESOURCES, type Resource } from './resources.ts';

export type Verb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete' | 'deletecollection';

/** A request to a stored resource, in the terms of RBAC. */
export interface ResourceRequest {
  readonly verb: Verb;
  readonly resource: Resource;
  /** `status`, or '' for the main resource. */
  readonly subresource: string;
  readonly namespace: string | undefined;
  /** '' for the collection. */
  readonly name: string;
}

/** `nodes` or `nodes/status`: the resource as an RBAC rule names it. */
export function rbacName(request: ResourceRequest): string {
  return request.subresource === ''
    ? request.resource.plural
    : `${request.resource.plural}/${request.subresource}`;
}

/** A split request target. */
export interface Target {
  /** Decoded path segments without empty ones at the ends. */
  readonly segments: readonly string[];
  readonly query: URLSearchParams;
}

/** Undefined for what is not a request target in origin form with valid percent encoding. */
export function parseTarget(url: string): Target | undefined {
  if (!url.startsWith('/')) return undefined;
  const cut = url.indexOf('?');
  const path = cut < 0 ? url : url.slice(0, cut);
  try {
    const segments = path.split('/').slice(1).map(decodeURIComponent);
    if (segments.at(-1) === '') segments.pop();
    return { segments, query: new URLSearchParams(cut < 0 ? '' : url.slice(cut + 1)) };
  } catch {
    return undefined;
  }
}

const VERBS: Partial<Record<string, readonly [collection: Verb | undefined, object: Verb | undefined]>> = {
  GET: ['list', 'get'],
  POST: ['create', undefined],
  PUT: [undefined, 'update'],
  PATCH: [undefined, 'patch'],
  DELETE: ['deletecollection', 'delete'],
};

/**
 * The resource request behind a method and a target below /api/v1 or /apis/group/version.
 * Undefined: the method does not fit (405). Throws 404 for a resource that is not served.
 */
export function parseResourceRequest(method: string, target: Target): ResourceRequest | undefined {
  const core = target.segments[0] === 'api';
  const [group = '', version = ''] = core ? ['', target.segments[1]] : target.segments.slice(1, 3);
  let rest = target.segments.slice(core ? 2 : 3);
  let namespace: string | undefined;
  // /namespaces/{name} itself and its status are the namespace object.
  if (rest[0] === 'namespaces' && rest.length > 2 && rest[2] !== 'status') {
    namespace = rest[1];
    rest = rest.slice(2);
  }
  const [plural = '', name = '', subresource = ''] = rest;
  const apiVersion = apiVersionOf({ group, version });
  const resource = RESOURCES.find((known) => known.plural === plural && apiVersionOf(known) === apiVersion);
  const hasSub = subresource === '' || (subresource === 'status' && resource?.status === true);
  if (resource === undefined || rest.length > 3 || !hasSub) throw noSuchResource();
  if (namespace !== undefined && !resource.namespaced) throw noSuchResource();
  if (name !== '' && resource.namespaced && namespace === undefined) throw noSuchResource();
  const verb = VERBS[method]?.[name === '' ? 0 : 1];
  if (verb === undefined || (subresource !== '' && verb === 'delete')) return undefined;
  if (verb === 'create' && resource.namespaced && namespace === undefined) return undefined;
  const watches = verb === 'list' && ['true', '1'].includes(target.query.get('watch') ?? '');
  return { verb: watches ? 'watch' : verb, resource, subresource, namespace, name };
}
