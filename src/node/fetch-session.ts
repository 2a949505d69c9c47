import type { Agent, IncomingMessage } from 'node:http';
import { builtin } from './builtin.ts';

interface SessionOptions {
  readonly tls?: {
    readonly ca?: string;
    readonly cert?: string;
    readonly key?: string;
    readonly serverName?: string;
    readonly rejectUnauthorized?: boolean;
  };
  /** False: none; undefined: the one of the environment. */
  readonly proxy?: string | false | undefined;
  readonly unix?: string;
}

interface RequestOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal?: AbortSignal | null;
}

/** Statuses whose answer has no body (fetch specification, "null body status"). */
const NULL_BODY = [101, 103, 204, 205, 304];

/** `Bun.FetchSession`: connections with TLS settings of their own, kept for later requests. Redirects are not followed. */
export class FetchSession {
  readonly #options: SessionOptions;
  readonly #agents = new Map<string, Agent>();

  constructor(options: SessionOptions = {}) {
    this.#options = options;
  }

  async fetch(
    input: string,
    { method = 'GET', headers = {}, body, signal }: RequestOptions = {},
  ): Promise<Response> {
    signal?.throwIfAborted();
    const url = new URL(input);
    const { unix } = this.#options;
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const secure = url.protocol === 'https:';
    const request = (secure ? builtin.https : builtin.http).request(url, {
      method,
      headers: {
        ...headers,
        ...(body !== undefined && { 'content-length': String(Buffer.byteLength(body)) }),
      },
      agent: this.#agent(secure),
      ...(unix !== undefined && { socketPath: unix }),
      ...(signal instanceof AbortSignal && { signal }),
    });
    request.once('response', resolve);
    request.on('error', (error) => reject(signal?.aborted === true ? signal.reason : error));
    request.end(body);
    return asResponse(await promise);
  }

  close(): void {
    for (const agent of this.#agents.values()) agent.destroy();
    this.#agents.clear();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #agent(secure: boolean): Agent {
    const key = secure ? 'https' : 'http';
    const known = this.#agents.get(key);
    if (known !== undefined) return known;
    const { tls = {}, proxy } = this.#options;
    const { serverName, ...rest } = tls;
    const proxyEnv =
      proxy === undefined ? process.env : { HTTP_PROXY: proxy || '', HTTPS_PROXY: proxy || '' };
    const common = { keepAlive: true, ...(proxy !== false && { proxyEnv }) };
    const made = secure
      ? new builtin.https.Agent({
          ...common,
          ...rest,
          ...(serverName !== undefined && { servername: serverName }),
        })
      : new builtin.http.Agent(common);
    this.#agents.set(key, made);
    return made;
  }
}

function asResponse(message: IncomingMessage): Response {
  const headers = new Headers();
  for (const [name, values] of Object.entries(message.headersDistinct)) {
    for (const value of values ?? []) headers.append(name, value);
  }
  const status = message.statusCode ?? 500;
  const body = NULL_BODY.includes(status) ? null : builtin.stream.Readable.toWeb(message);
  if (body === null) message.resume();
  return new Response(body as ReadableStream<Uint8Array> | null, { status, headers });
}
