import type { Clock } from '#base/clock.ts';
import { FlannelError } from '#base/errors.ts';
import {
  acceptHeader,
  isProtobuf,
  listReader,
  watchReader,
  type AnswerReader,
  type ListReader,
} from './answer.ts';
import { isConnectionError, isGone, TransportError, transportError } from './errors.ts';
import type { KubeConfig } from './config.ts';
import { JsonPruner } from './json-pruner.ts';
import { ProtobufError, type MessageShape } from './protobuf.ts';
import type { ReadFile } from '../secret.ts';
import { JsonError, type Selection } from './selection.ts';
import { Silence } from '../silence.ts';
import { type CountedRequest, describeRequest, type RequestOptions, Transport } from './transport.ts';
import { property, watchEvent, type WatchEvent } from './watch-event.ts';

export interface KubeClientOptions {
  readonly clock: Clock;
  /** Uniform random in [0, 1). */
  readonly random: () => number;
  readonly readFile?: ReadFile;
  readonly userAgent?: string;
  /** Silence after which a request or a list is given up, ms. */
  readonly timeout?: number;
  /**
   * Silence after which a watch is given up, ms; default 30,000. Where little happens that is sooner than a bookmark, which comes
   * once a minute: such watches are to be `brief`.
   */
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

export interface CreateOptions extends GetOptions {
  readonly body: unknown;
}

export interface PatchOptions extends CreateOptions {
  readonly type: 'strategic' | 'merge';
}

export interface ListOptions<T> extends GetOptions {
  /** Reduces one item, e.g. to a lease; undefined drops it. */
  readonly reduce: (item: unknown) => T | undefined;
  /** `0` takes the API server's cache as it is; missing asks for the newest state. */
  readonly resourceVersion?: string;
  /** How an item looks in protobuf: asks for the list in it, which costs far less; the server may answer in JSON. */
  readonly shape?: MessageShape;
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

export type { WatchEvent };

export interface WatchOptions extends GetOptions {
  /** Of the list; empty: from now on, everything there is first. */
  readonly resourceVersion: string;
  readonly onEvent: (event: WatchEvent) => void;
  /** As in a list. */
  readonly shape?: MessageShape;
  /**
   * Little happens: the server is to end the watch before it is taken for dead. Two seconds before that it sends a bookmark
   * (apiserver storage/cacher, `nextBookmarkTime`), so that the version stays fresh.
   */
  readonly brief?: boolean;
  /** Called when the server accepted the watch, and whenever bytes arrive. */
  readonly onProgress?: () => void;
}

/** The few verbs of the Kubernetes API that the agent needs. Errors: ApiError, TransportError, JsonError, ProtobufError, ConfigError. */
export interface KubeClient {
  readonly server: string;
  get(path: string, options: GetOptions): Promise<unknown>;
  /** Resolves to the selected part of the new object; `path` is that of the collection. */
  create(path: string, options: CreateOptions): Promise<unknown>;
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
  readonly shape?: MessageShape | undefined;
  readonly onProgress: (() => void) | undefined;
}

const PATCH_TYPES = {
  strategic: 'application/strategic-merge-patch+json',
  merge: 'application/merge-patch+json',
};
/** Bytes of an answer after which its garbage is collected: bounds memory. With 2 MiB a list of 90 MB takes half a second longer. */
const GARBAGE = 16 << 20;
const MAX_PAGES = 100_000;
/** Times the longest silence that a page of a list may take: five minutes for about 5 MB. */
const PAGE = 10;

class FetchKubeClient implements KubeClient {
  readonly #transport: Transport;
  readonly #options: KubeClientOptions;
  /** False once an answer in protobuf could not be read: from then on JSON is good enough. */
  #protobuf = true;

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

  create(path: string, options: CreateOptions): Promise<unknown> {
    const headers = { 'content-type': 'application/json' };
    const body = JSON.stringify(options.body);
    return this.#object({ verb: 'create', method: 'POST', path, headers, body }, options);
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
    const { signal, onProgress, shape } = options;
    let list: ListReader | undefined;
    const open = (protobuf: boolean) => (list = listReader(options, protobuf, onItem));
    const silence = this.#timeout;
    await this.#stream(request, open, { signal, onProgress, shape, silence, total: silence * PAGE });
    const root = list?.root;
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
    const silence = this.#options.watchTimeout ?? 30_000;
    const long = 300 + Math.floor(this.#options.random() * 300);
    const brief = Math.max(1, Math.floor((silence * 2) / 3000));
    const query = new URLSearchParams({
      watch: 'true',
      allowWatchBookmarks: 'true',
      timeoutSeconds: String(options.brief === true ? brief : long),
    });
    if (options.resourceVersion !== '') query.set('resourceVersion', options.resourceVersion);
    const request = { verb: 'watch', method: 'GET', path: `${path}?${query}` } as const;
    const name = `watch of ${path}`;
    const onValue = (value: unknown): void => options.onEvent(watchEvent(name, value));
    const { signal, onProgress, shape } = options;
    const open = (protobuf: boolean) => watchReader(options, protobuf, onValue);
    await this.#stream(request, open, { signal, onProgress, shape, silence });
  }

  get #timeout(): number {
    return this.#options.timeout ?? 30_000;
  }

  async #object(request: Request, { select, signal }: GetOptions): Promise<unknown> {
    let object: unknown;
    const onValue = (value: unknown): void => {
      object = value;
    };
    const open = () => new JsonPruner({ selection: select, onValue });
    const silence = this.#timeout;
    await this.#stream(request, open, { signal, silence, total: 2 * silence, onProgress: undefined });
    return object;
  }

  /** Feeds the whole answer to the reader that `open` gives for its form. */
  async #stream(
    request: Request,
    open: (protobuf: boolean) => AnswerReader,
    options: StreamOptions,
  ): Promise<void> {
    const name = describeRequest(request, this.server);
    using silence = new Silence(options.silence, options.signal, options.total);
    const accept = acceptHeader(options.shape !== undefined && this.#protobuf);
    const headers = { accept, ...request.headers };
    let reader: AnswerReader;
    let type: string | null = null;
    try {
      const response = await this.#transport.send({ ...request, headers, signal: silence.signal });
      type = response.headers.get('content-type');
      reader = open(isProtobuf(response.headers));
      await this.#read(response, reader, () => {
        silence.heard();
        options.onProgress?.();
      });
    } catch (error) {
      options.signal.throwIfAborted();
      if (error instanceof JsonError) throw error.of(name, type);
      if (error instanceof ProtobufError) {
        this.#protobuf = false;
        throw error.of(name);
      }
      throw error === silence.signal.reason || isConnectionError(error) ? transportError(name, error) : error;
    }
    options.signal.throwIfAborted();
    if (!reader.complete()) {
      throw new TransportError({
        request: name,
        failure: 'reset',
        message: 'the answer was cut off in the middle',
      });
    }
  }

  async #read(response: Response, answer: AnswerReader, heard: () => void): Promise<void> {
    heard();
    const collect = this.#options.collectGarbage ?? (() => Bun.gc(true));
    const reader = response.body?.getReader();
    let garbage = 0;
    try {
      for (;;) {
        const chunk = (await reader?.read())?.value as Uint8Array | undefined;
        if (chunk === undefined) return;
        heard();
        answer.push(chunk);
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

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
