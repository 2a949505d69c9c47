import type { IncomingMessage, ServerResponse } from 'node:http';
import { systemClock, type Clock } from '#base/clock.ts';
import { describe } from '#base/errors.ts';
import { silentLogger, type Logger } from '#base/log.ts';
import { Faults, type AnswerFault } from './faults.ts';
import { Gzip, GZIP_THRESHOLD } from './gzip.ts';
import { classify, Handler, type Answer, type Classified, type WatchAnswer } from './handler.ts';
import { objectsOf, type Objects } from './objects.ts';
import { PROTOBUF } from './protobuf/wire.ts';
import { anyBytes, contentTypeOf } from './representation.ts';
import { RequestLog, type LoggedRequest } from './request-log.ts';
import { parseTarget, type Target } from './request.ts';
import { ApiError, badRequest, failure, methodNotAllowed, tooLarge } from './status.ts';
import { resourceOf, Store } from './store.ts';
import { breakOff, headersOf, Listener, readBody, send, type TlsOptions } from './transport.ts';
import { Watch } from './watch.ts';

/** The body limit of real servers (`--max-request-body-bytes`). */
const BODY_LIMIT = 3 * 1024 * 1024;

export interface ApiServerOptions {
  /** 0, the default, takes a free one. */
  readonly port?: number;
  /** Address to listen on. Default 127.0.0.1. */
  readonly hostname?: string;
  readonly tls?: TlsOptions;
  /** When given, requests need `Authorization: Bearer <token>`. */
  readonly token?: string;
  /** Time between two bookmarks of a watch that allows them. Default one minute, as on real servers. */
  readonly bookmarkIntervalMs?: number;
  /** Events kept per resource; a watch or page from further back gets 410. Default 1000. */
  readonly historyLimit?: number;
  /** Compress large answers for clients that accept it. Default true. */
  readonly gzip?: boolean;
  /** Runs the synchronous opening of the listening socket, e.g. inside another network namespace. */
  readonly within?: <T>(open: () => T) => T;
  /** Takes requests before the API does; true when it answered. */
  readonly intercept?: (request: IncomingMessage, response: ServerResponse) => boolean;
  readonly clock?: Clock;
  readonly log?: Logger<string>;
}

export interface ApiServer extends AsyncDisposable {
  /** `http://host:port` or `https://...`, without a slash at the end. */
  readonly url: string;
  readonly port: number;
  readonly nodes: Objects;
  readonly pods: Objects;
  readonly namespaces: Objects;
  readonly events: Objects;
  readonly configmaps: Objects;
  readonly faults: Faults;
  readonly requests: RequestLog;
  readonly store: Store;
  /** Body bytes handed to sockets so far, and the watches that run now. */
  stats(): { bytesSent: number; watches: number };
  /** Ends watches, closes connections and the listener. */
  close(): Promise<void>;
}

class Server {
  readonly store: Store;
  readonly faults: Faults;
  readonly requests = new RequestLog();
  readonly listener: Listener;
  readonly watches = new Set<Watch>();
  bytesSent = 0;
  readonly #options: ApiServerOptions;
  readonly #clock: Clock;
  readonly #log: Logger<string>;
  readonly #handler: Handler;
  readonly #gzip = new Gzip();
  readonly #closing = new AbortController();

  constructor(options: ApiServerOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log ?? silentLogger;
    this.store = new Store({ historyLimit: options.historyLimit ?? 1000, clock: this.#clock });
    this.listener = new Listener({
      port: options.port ?? 0,
      hostname: options.hostname ?? '127.0.0.1',
      tls: options.tls,
      within: options.within ?? ((open) => open()),
      onRequest: (request, response) => void this.#serve(request, response),
    });
    this.faults = new Faults({
      watches: this.watches,
      collections: () => this.store.collections(),
      closeListener: () => this.listener.close(),
      openListener: () => this.listener.open(),
    });
    this.#handler = new Handler({
      store: this.store,
      faults: this.faults,
      clock: this.#clock,
      token: options.token,
    });
  }

  async close(): Promise<void> {
    this.#closing.abort();
    for (const watch of this.watches) watch.end();
    await this.listener.close();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.#options.intercept?.(request, response) === true) return;
    try {
      await this.#answer(request, response);
    } catch (error) {
      // Only the connection itself can have failed here: the peer is gone.
      this.#log.debug('a request breaks off', { error: describe(error) });
      response.destroy();
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readBody(request, BODY_LIMIT);
    let logged: LoggedRequest | undefined;
    try {
      if (body === undefined) throw tooLarge(BODY_LIMIT);
      const target = parseTarget(request.url ?? '');
      if (target === undefined) throw badRequest('the request target is not valid');
      const method = request.method ?? '';
      const classified = classify(method, target);
      if (classified === undefined) throw methodNotAllowed();
      logged = this.#record(request, target, classified);
      if (await this.#breaks(request, response, { ...classified, logged })) return;
      const answer = this.#handler.handle({ method, target, headers: headersOf(request), body }, classified);
      logged.code = 'watch' in answer ? 200 : answer.code;
      if ('watch' in answer) this.#watch(response, answer);
      else this.#reply(request, response, answer);
    } catch (error) {
      const status =
        error instanceof ApiError
          ? error
          : failure(500, { message: `Internal error occurred: ${describe(error)}` });
      if (!(error instanceof ApiError))
        this.#log.error('a request fails inside the API server', { error: describe(error) });
      if (logged !== undefined) logged.code = status.code;
      this.#replyStatus(request, response, status);
    }
  }

  #record(request: IncomingMessage, target: Target, classified: Classified): LoggedRequest {
    const logged = this.requests.add({
      verb: classified.verb,
      resource: classified.resource,
      name: classified.request?.name ?? '',
      namespace: classified.request?.namespace,
      query: target.query.toString(),
      contentType: request.headers['content-type'] ?? '',
      userAgent: request.headers['user-agent'] ?? '',
      code: 0,
    });
    this.#log.debug('request', {
      verb: logged.verb,
      resource: logged.resource,
      name: logged.name,
      query: logged.query,
    });
    return logged;
  }

  /** Delays and injected answers; true when the request is answered. */
  async #breaks(
    request: IncomingMessage,
    response: ServerResponse,
    { verb, resource, logged }: Classified & { readonly logged: LoggedRequest },
  ): Promise<boolean> {
    const delay = this.faults.delayOf(verb, resource);
    if (delay > 0) await this.#clock.sleep(delay, this.#closing.signal);
    const fault = this.faults.takeAnswer(verb, resource);
    if (fault === undefined) return false;
    logged.code = fault.code;
    this.#replyFault(request, response, fault);
    return true;
  }

  #replyFault(request: IncomingMessage, response: ServerResponse, fault: AnswerFault): void {
    const retry = fault.retryAfterSeconds === undefined ? {} : { retryAfterSeconds: fault.retryAfterSeconds };
    if (fault.text === undefined) {
      this.#replyStatus(request, response, failure(fault.code, retry));
      return;
    }
    const after: Record<string, string> =
      fault.retryAfterSeconds === undefined ? {} : { 'retry-after': String(fault.retryAfterSeconds) };
    send(response, fault.code, {
      headers: { 'content-type': 'text/plain; charset=utf-8', ...after },
      body: Buffer.from(fault.text),
    });
  }

  /** A client that prefers protobuf gets its errors in it, too. */
  #replyStatus(request: IncomingMessage, response: ServerResponse, error: ApiError): void {
    const protobuf = request.headers.accept?.startsWith(PROTOBUF) === true;
    const after: Record<string, string> =
      error.retryAfterSeconds === undefined ? {} : { 'retry-after': String(error.retryAfterSeconds) };
    send(response, error.code, {
      headers: { 'content-type': protobuf ? PROTOBUF : 'application/json', ...after },
      body: anyBytes(error.toStatus(), protobuf ? 'protobuf' : 'json'),
    });
  }

  #reply(request: IncomingMessage, response: ServerResponse, answer: Answer): void {
    const accepts = /\bgzip\b/.test(request.headers['accept-encoding']?.toString() ?? '');
    const packs = accepts && this.#options.gzip !== false && answer.body.length >= GZIP_THRESHOLD;
    const body = packs ? this.#gzip.compress(answer.body, answer.cacheKey) : answer.body;
    const encoding: Record<string, string> = packs
      ? { 'content-encoding': 'gzip', vary: 'Accept-Encoding' }
      : {};
    this.bytesSent += body.length;
    send(response, answer.code, {
      headers: { 'content-type': answer.contentType, 'cache-control': 'no-cache, private', ...encoding },
      body,
    });
  }

  #watch(response: ServerResponse, answer: WatchAnswer): void {
    const watch = new Watch({
      ...answer.watch,
      bookmarkIntervalMs: this.#options.bookmarkIntervalMs ?? 60_000,
      sink: {
        write: (bytes) => {
          this.bytesSent += bytes.length;
          return response.write(bytes);
        },
        end: () => response.end(),
        destroy: (fragment) => breakOff(response, fragment),
      },
    });
    const contentType = contentTypeOf(answer.watch.representation, true);
    response.writeHead(200, { 'content-type': contentType, 'cache-control': 'no-cache, private' });
    response.flushHeaders();
    this.watches.add(watch);
    response.on('drain', () => watch.drained());
    response.on('close', () => {
      watch.close();
      this.watches.delete(watch);
    });
    watch.stall(this.faults.stalled);
    watch.start();
  }
}

/** Starts a Kubernetes API server for Nodes, Pods and what goes with them. Throws FlannelError when it cannot listen. */
export async function startApiServer(options: ApiServerOptions = {}): Promise<ApiServer> {
  const server = new Server(options);
  await server.listener.open();
  const { store, faults, requests, listener } = server;
  const hostname = options.hostname ?? '127.0.0.1';
  const host = hostname.includes(':') ? `[${hostname}]` : hostname;
  const close = () => server.close();
  const objects = (plural: string) => objectsOf(store, resourceOf(plural));
  return {
    url: `${options.tls === undefined ? 'http' : 'https'}://${host}:${listener.port}`,
    port: listener.port,
    nodes: objects('nodes'),
    pods: objects('pods'),
    namespaces: objects('namespaces'),
    events: objects('events'),
    configmaps: objects('configmaps'),
    faults,
    requests,
    store,
    stats: () => ({ bytesSent: server.bytesSent, watches: server.watches.size }),
    close,
    [Symbol.asyncDispose]: close,
  };
}
