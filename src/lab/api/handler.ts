import type { Clock } from '#base/clock.ts';
import type { Collection } from './collection.ts';
import { discovery, REVIEW_PATH } from './discovery.ts';
import type { Faults } from './faults.ts';
import { listPage } from './list.ts';
import { isObject, type Json, type JsonObject } from './object.ts';
import { contentTypeOf, jsonBytes, negotiate, objectBytes, pageBytes } from './representation.ts';
import { parseResourceRequest, rbacName, type ResourceRequest, type Target } from './request.ts';
import { forbidden, methodNotAllowed, unauthorized } from './status.ts';
import type { Store } from './store.ts';
import type { WatchOptions } from './watch.ts';
import { create, patch, remove, update, type Written } from './write.ts';

/** A request with its body read. */
export interface HttpRequest {
  readonly method: string;
  readonly target: Target;
  /** Header values by lower-case name. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Uint8Array;
}

export interface Answer {
  readonly code: number;
  readonly contentType: string;
  readonly body: Uint8Array;
  /** Equal keys mean equal bodies: lets the transport keep the compressed form. */
  readonly cacheKey?: string;
}

export interface WatchAnswer {
  readonly watch: Omit<WatchOptions, 'sink' | 'bookmarkIntervalMs'>;
}

export interface HandlerOptions {
  readonly store: Store;
  readonly faults: Faults;
  readonly clock: Clock;
  /** When given, every request but the health ones must carry it. */
  readonly token: string | undefined;
}

/** A request's name in RBAC terms: for the log, for faults, and for the answer itself. */
export interface Classified {
  readonly verb: string;
  readonly resource: string;
  readonly request: ResourceRequest | undefined;
}

const HEALTH = new Set(['healthz', 'livez', 'readyz']);

/** Classifies; throws 404 and 405 for what is not served below /api and /apis. */
export function classify(method: string, target: Target): Classified | undefined {
  const { segments } = target;
  const path = segments.join('/');
  if (path === REVIEW_PATH)
    return { verb: 'create', resource: 'selfsubjectaccessreviews', request: undefined };
  const inGroup =
    (segments[0] === 'api' && segments.length > 2) || (segments[0] === 'apis' && segments.length > 3);
  if (!inGroup) return { verb: method.toLowerCase(), resource: `/${path}`, request: undefined };
  const request = parseResourceRequest(method, target);
  if (request === undefined) return undefined;
  return { verb: request.verb, resource: rbacName(request), request };
}

const OPENAPI_V2 = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf';

/** Turns requests into answers; knows nothing of sockets. Throws ApiError. */
export class Handler {
  readonly #options: HandlerOptions;

  constructor(options: HandlerOptions) {
    this.#options = options;
  }

  handle(http: HttpRequest, classified: Classified): Answer | WatchAnswer {
    const path = http.target.segments.join('/');
    if (HEALTH.has(http.target.segments[0] ?? ''))
      return { code: 200, contentType: 'text/plain; charset=utf-8', body: Buffer.from('ok') };
    this.#authenticate(http);
    const { verb, resource, request } = classified;
    if (this.#options.faults.isForbidden(verb, resource)) throw forbidden(`${verb} of ${resource}`);
    if (request !== undefined) return this.#resource(http, request);
    if (path === REVIEW_PATH) return review(http, this.#options.faults);
    // Old kubectl validates by OpenAPI v2 in protobuf; a document without definitions tells it that there is nothing to check.
    if (path === 'openapi/v2' && http.method === 'GET') {
      return { code: 200, contentType: OPENAPI_V2, body: Buffer.alloc(0) };
    }
    const document = discovery(path);
    if (document === undefined)
      return {
        code: 404,
        contentType: 'text/plain; charset=utf-8',
        body: Buffer.from('404 page not found\n'),
      };
    if (http.method !== 'GET') throw methodNotAllowed();
    return json(200, jsonBytes(document));
  }

  #authenticate(http: HttpRequest): void {
    const { token, faults } = this.#options;
    const [, given] = /^Bearer\s+(\S+)$/i.exec(http.headers['authorization'] ?? '') ?? [];
    if (given !== undefined && faults.isRejected(given)) throw unauthorized();
    if (token !== undefined && given !== token) throw unauthorized();
  }

  #resource(http: HttpRequest, request: ResourceRequest): Answer | WatchAnswer {
    const { store } = this.#options;
    const { verb } = request;
    if (verb === 'get' || verb === 'list' || verb === 'watch') return this.#read(http, request);
    if (verb === 'deletecollection') return this.#deleteAll(http, request);
    const contentType = (http.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
    const write = { ...request, body: http.body, contentType, query: http.target.query };
    const act = { create, update, patch, delete: remove }[verb];
    const written: Written = act(store, write);
    return json(written.code, jsonBytes(written.body));
  }

  #read(http: HttpRequest, request: ResourceRequest): Answer | WatchAnswer {
    const { store, clock } = this.#options;
    const { resource, namespace } = request;
    const { query } = http.target;
    const accept = http.headers['accept'];
    const representation = negotiate(accept, query.get('includeObject') ?? 'Metadata', resource.kind);
    const contentType = contentTypeOf(representation);
    const collection: Collection = store.collection(resource);
    const formatter = { resource, representation, now: clock.now() };
    if (request.verb === 'watch') return { watch: { collection, namespace, query, representation, clock } };
    if (request.verb === 'get')
      return {
        code: 200,
        contentType,
        body: objectBytes(store.require(resource, namespace, request.name), formatter),
      };
    const page = listPage(collection, query, namespace);
    const body = pageBytes(page, formatter);
    if (representation.form !== 'object') return { code: 200, contentType, body };
    const selectors = [query.get('labelSelector'), query.get('fieldSelector')];
    const last = page.entries.at(-1)?.key;
    const cacheKey = JSON.stringify([
      resource.plural,
      page.version,
      page.entries[0]?.key,
      last,
      page.entries.length,
      namespace,
      selectors,
      contentType,
    ]);
    return { code: 200, contentType, body, cacheKey };
  }

  #deleteAll(http: HttpRequest, request: ResourceRequest): Answer {
    const { store } = this.#options;
    const page = listPage(store.collection(request.resource), http.target.query, request.namespace);
    for (const entry of page.entries) store.delete(request.resource, entry);
    return json(200, jsonBytes({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success' }));
  }
}

function json(code: number, body: Uint8Array): Answer {
  return { code, contentType: 'application/json', body };
}

/** A SelfSubjectAccessReview: all is allowed that no fault forbids. kubectl asks in protobuf, which changes nothing in the answer. */
function review(http: HttpRequest, faults: Faults): Answer {
  if (http.method !== 'POST') throw methodNotAllowed();
  const spec = reviewSpec(http.body);
  const asked = isObject(spec['resourceAttributes']) ? spec['resourceAttributes'] : {};
  const word = (key: string) => (typeof asked[key] === 'string' ? asked[key] : '');
  const resource = [word('resource'), word('subresource')].filter((part) => part !== '').join('/');
  const allowed = !faults.isForbidden(word('verb'), resource);
  const status = { allowed, ...(allowed && { reason: 'the lab allows everything' }) };
  const kind = { kind: 'SelfSubjectAccessReview', apiVersion: 'authorization.k8s.io/v1' };
  return json(201, jsonBytes({ ...kind, metadata: {}, spec, status }));
}

function reviewSpec(bytes: Uint8Array): JsonObject {
  try {
    const body = JSON.parse(new TextDecoder().decode(bytes)) as Json;
    return isObject(body) && isObject(body['spec']) ? body['spec'] : {};
  } catch {
    return {};
  }
}
