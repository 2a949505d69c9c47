import type { Clock } from '#base/clock.ts';
import { FlannelError } from '#base/errors.ts';
import { ApiError, isConnectionError, isGone, TransportError, transportError } from './errors.ts';
import type { KubeConfig } from './config.ts';
import { JsonPruner } from './json-pruner.ts';
import type { ReadFile } from './secret.ts';
import { ALL, JsonError, members, type Selection } from './selection.ts';
import { Silence } from './silence.ts';
import {
  type CountedRequest,
  describeRequest,
  type RequestOptions,
  statusText,
  Transport,
} from './transport.ts';

export interface KubeClientOptions {
  readonly clock: Clock;
  /** Uniform random in [0, 1). */
  readonly random: () => number;
  readonly readFile?: ReadFile;
  readonly userAgent?: string;
  /** Silence after which a request or a list is given up, ms. */
  readonly timeout?: number;
  /** Silence after which a watch is given up, ms; bookmarks come about once a minute. */
  readonly watchTimeout?: number;
  /** Hears of every request that was answered or failed, to count it. */
  readonly onRequest?: ((request: CountedRequest) => void) | undefined;
  /** Frees what a long answer left behind; called every few megabytes. */
  readonly collectGarbage?: () => void;
}

export interface GetOptions {
  /** What of the object is wanted. */
  readonly select: Selection;
  readonly signal: AbortSignal;
}

export interface PatchOptions extends GetOptions {
  readonly type: 'strategic' | 'merge';
  readonly body: unknown;
}

export interface ListOptions<T> extends GetOptions {
  /** Reduces one item, e.g. to a lease; undefined drops it. */
  readonly reduce: (item: unknown) => T | undefined;
  /** `0` takes the API server's cache as it is; missing asks for the newest state. */
  readonly resourceVersion?: string;
  /** Items per page. */
  readonly limit?: number;
  /** Called whenever bytes arrive. */
  readonly onProgress?: () => void;
}

export interface List<T> {
  readonly items: T[];
  /** Where a watch goes on; empty when the server did not say. */
  readonly resourceVersion: string;
}

export type WatchEvent = {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';
  readonly object: unknown;
};

export interface WatchOptions extends GetOptions {
  /** Of the list; empty: from now on, everything there is first. */
  readonly resourceVersion: string;
  readonly onEvent: (event: WatchEvent) => void;
  /** Called when the server accepted the watch, and whenever bytes arrive. */
  readonly onProgress?: () => void;
}

/** The few verbs of the Kubernetes API that the agent needs. Errors: ApiError, TransportError, JsonError, ConfigError. */
export interface KubeClient {
  readonly server: string;
  get(path: string, options: GetOptions): Promise<unknown>;
  /** Resolves to the selected part of the patched object. */
  patch(path: string, options: PatchOptions): Promise<unknown>;
  list<T>(path: string, options: ListOptions<T>): Promise<List<T>>;
  /** Resolves when the server ends the watch in good order; throws for everything else, ERROR events included. */
  watch(path: string, options: WatchOptions): Promise<void>;
  close(): void;
}

export function createKubeClient(config: KubeConfig, options: KubeClientOptions): KubeClient {
  return new FetchKubeClient(config, options);
}

type Request = Omit<RequestOptions, 'signal'>;

interface StreamOptions {
  readonly signal: AbortSignal;
  /** Longest silence of the server, ms. */
  readonly silence: number;
  /** Longest time for the whole answer, ms: one byte now and then is no silence, but no answer either. */
  readonly total?: number;
  readonly onProgress: (() => void) | undefined;
}

const PATCH_TYPES = {
  strategic: 'application/strategic-merge-patch+json',
  merge: 'application/merge-patch+json',
};
/** Bytes of an answer after which its garbage is collected: bounds memory. With 2 MiB a list of 90 MB takes half a second longer. */
const GARBAGE = 12 << 20;
const MAX_PAGES = 100_000;
/** Times the longest silence that a page of a list may take: five minutes for about 5 MB. */
const PAGE = 10;

class FetchKubeClient implements KubeClient {
  readonly #transport: Transport;
  readonly #options: KubeClientOptions;

  constructor(config: KubeConfig, options: KubeClientOptions) {
    this.#options = options;
    this.#transport = new Transport(config, options);
  }

  get server(): string {
    return this.#transport.server;
  }

  close(): void {
    this.#transport.close();
  }

  get(path: string, options: GetOptions): Promise<unknown> {
    return this.#object({ verb: 'get', method: 'GET', path }, options);
  }

  patch(path: string, options: PatchOptions): Promise<unknown> {
    const headers = { 'content-type': PATCH_TYPES[options.type] };
    const body = JSON.stringify(options.body);
    return this.#object({ verb: 'patch', method: 'PATCH', path, headers, body }, options);
  }

  async list<T>(path: string, options: ListOptions<T>): Promise<List<T>> {
    try {
      return await this.#pages(path, options);
    } catch (error) {
      if (!isGone(error)) throw error;
      // The continue token went out of date, or the version asked for: once more, in one piece and newest state.
      const { resourceVersion: _, ...rest } = options;
      return this.#pages(path, { ...rest, limit: 0 });
    }
  }

  async #pages<T>(path: string, options: ListOptions<T>): Promise<List<T>> {
    const items: T[] = [];
    let token = '';
    for (let page = 0; page < MAX_PAGES; page += 1) {
      const query = new URLSearchParams();
      const limit = options.limit ?? 250;
      if (limit > 0) query.set('limit', String(limit));
      if (token !== '') query.set('continue', token);
      // The API refuses a resourceVersion beside a continue token.
      else if (options.resourceVersion !== undefined) query.set('resourceVersion', options.resourceVersion);
      const answer = await this.#page(`${path}?${query}`, options, items);
      if (answer.token === '') return { items, resourceVersion: answer.resourceVersion };
      if (answer.token === token) break;
      token = answer.token;
    }
    throw new FlannelError(
      'api',
      `${describeRequest({ method: 'GET', path }, this.server)}: the list has no end`,
    );
  }

  async #page<T>(
    path: string,
    options: ListOptions<T>,
    items: T[],
  ): Promise<{ token: string; resourceVersion: string }> {
    const request = { verb: 'list', method: 'GET', path } as const;
    const onItem = (item: unknown): void => {
      const reduced = options.reduce(item);
      if (reduced !== undefined) items.push(reduced);
    };
    const metadata = members({ resourceVersion: ALL, continue: ALL });
    const selection = members({ kind: ALL, metadata, items: { kind: 'each', item: options.select } });
    let root: unknown;
    const onValue = (value: unknown): void => {
      root = value;
    };
    const { signal, onProgress } = options;
    await this.#stream(request, new JsonPruner({ selection, onItem, onValue }), {
      signal,
      onProgress,
      silence: this.#timeout,
      total: this.#timeout * PAGE,
    });
    const meta = property(root, 'metadata');
    const resourceVersion = property(meta, 'resourceVersion');
    if (property(root, 'items') === undefined) {
      throw new FlannelError('api', `${describeRequest(request, this.server)}: the answer is not a list`);
    }
    const token = property(meta, 'continue');
    // Every API server gives a version; a proxy or a stand-in that does not is still good for a watch from now on.
    return { token: textOf(token), resourceVersion: textOf(resourceVersion) };
  }

  async watch(path: string, options: WatchOptions): Promise<void> {
    const query = new URLSearchParams({
      watch: 'true',
      allowWatchBookmarks: 'true',
      timeoutSeconds: String(300 + Math.floor(this.#options.random() * 300)),
    });
    if (options.resourceVersion !== '') query.set('resourceVersion', options.resourceVersion);
    const request = { verb: 'watch', method: 'GET', path: `${path}?${query}` } as const;
    const selection = members({ type: ALL, object: orStatus(options.select) });
    const name = `watch of ${path}`;
    const onValue = (value: unknown): void => options.onEvent(watchEvent(name, value));
    const { signal, onProgress } = options;
    const silence = this.#options.watchTimeout ?? 90_000;
    await this.#stream(request, new JsonPruner({ selection, onValue }), { signal, onProgress, silence });
  }

  get #timeout(): number {
    return this.#options.timeout ?? 30_000;
  }

  async #object(request: Request, { select, signal }: GetOptions): Promise<unknown> {
    let object: unknown;
    const onValue = (value: unknown): void => {
      object = value;
    };
    const pruner = new JsonPruner({ selection: select, onValue });
    const silence = this.#timeout;
    await this.#stream(request, pruner, { signal, silence, total: 2 * silence, onProgress: undefined });
    return object;
  }

  /** Feeds the whole answer to `pruner`. */
  async #stream(request: Request, pruner: JsonPruner, options: StreamOptions): Promise<void> {
    const name = describeRequest(request, this.server);
    using silence = new Silence(options.silence, options.signal, options.total);
    let type: string | null = null;
    try {
      const response = await this.#transport.send({ ...request, signal: silence.signal });
      type = response.headers.get('content-type');
      await this.#read(response, pruner, () => {
        silence.heard();
        options.onProgress?.();
      });
    } catch (error) {
      options.signal.throwIfAborted();
      if (error instanceof JsonError) throw error.of(name, type);
      throw error === silence.signal.reason || isConnectionError(error) ? transportError(name, error) : error;
    }
    options.signal.throwIfAborted();
    if (!pruner.complete()) {
      throw new TransportError({
        request: name,
        failure: 'reset',
        message: 'the answer was cut off in the middle',
      });
    }
  }

  async #read(response: Response, pruner: JsonPruner, heard: () => void): Promise<void> {
    heard();
    const collect = this.#options.collectGarbage ?? (() => Bun.gc(true));
    const reader = response.body?.getReader();
    let garbage = 0;
    try {
      for (;;) {
        const chunk = (await reader?.read())?.value as Uint8Array | undefined;
        if (chunk === undefined) return;
        heard();
        pruner.push(chunk);
        garbage += chunk.length;
        if (garbage < GARBAGE) continue;
        garbage = 0;
        collect();
      }
    } finally {
      // After an error the rest of the answer is of no use; after the end this does nothing.
      await reader?.cancel().catch(() => {});
    }
  }
}

/** The selection of an event's object, which is a Status in an ERROR event. */
function orStatus(select: Selection): Selection {
  if (select.kind !== 'members') return ALL;
  const status = new Map(['code', 'reason', 'message', 'details'].map((key) => [key, ALL] as const));
  return { kind: 'members', member: (key) => select.member(key) ?? status.get(key) };
}

function watchEvent(name: string, value: unknown): WatchEvent {
  const type = property(value, 'type');
  const object = property(value, 'object');
  if (type === 'ADDED' || type === 'MODIFIED' || type === 'DELETED' || type === 'BOOKMARK')
    return { type, object };
  if (type !== 'ERROR') throw new JsonError(0, 'an event of unknown type');
  const code = property(object, 'code');
  throw new ApiError({ request: name, status: typeof code === 'number' ? code : 500, ...statusText(object) });
}

/** `value[key]` of a JSON value; undefined when `value` is no object. */
function property(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
