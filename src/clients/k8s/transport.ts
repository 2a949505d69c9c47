import type { Clock } from '#base/clock.ts';
import { ConfigError } from '#base/errors.ts';
import { isProtobuf } from './answer.ts';
import { ApiError, TransportError, transportError, type TransportFailure } from './errors.ts';
import type { KubeConfig } from './config.ts';
import { decodeMessage, openEnvelope } from './protobuf.ts';
import { STATUS } from './protobuf-shapes.ts';
import { conceal, type ReadFile, readTextFile, type Secret } from '../secret.ts';
import { ALL } from './selection.ts';

/** What a request is for, in the words of Kubernetes' authorization. */
export const VERBS = ['get', 'list', 'watch', 'create', 'patch'] as const;

/** A request and how it went. */
export interface CountedRequest {
  readonly verb: (typeof VERBS)[number];
  /** HTTP status, or why there was none. */
  readonly code: number | TransportFailure;
  /** The server's clock when it answered (RFC 9110 section 6.6.1), as it stands in the answer. */
  readonly date?: string | undefined;
}

export interface TransportOptions {
  readonly clock: Clock;
  readonly onRequest?: ((request: CountedRequest) => void) | undefined;
  readonly readFile?: ReadFile;
  /** How old what was read from credential files may be, ms: they are small, and requests are few. */
  readonly maxAge?: number;
  readonly userAgent?: string;
}

export interface RequestOptions {
  readonly verb: CountedRequest['verb'];
  readonly method: 'GET' | 'POST' | 'PATCH';
  /** Path and query below the server's address. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal: AbortSignal;
}

interface Session {
  /** Everything the TLS session depends on, to notice a rotated certificate. */
  readonly material: string;
  readonly session: Bun.FetchSession;
}

/** Sends requests with the credentials of a KubeConfig; re-reads credential files, so that they may rotate. */
export class Transport {
  readonly #config: KubeConfig;
  readonly #options: TransportOptions;
  #readAt = Number.NEGATIVE_INFINITY;
  #token: string | undefined;
  #session: Session | undefined;
  #refreshing: Promise<void> | undefined;

  constructor(config: KubeConfig, options: TransportOptions) {
    this.#config = config;
    this.#options = options;
  }

  get server(): string {
    return this.#config.server;
  }

  /** A 2xx answer with its body unread. Throws ApiError, TransportError, or the signal's reason. */
  async send(request: RequestOptions): Promise<Response> {
    await this.#refresh();
    const before = this.#token;
    const first = await this.#fetch(request);
    if (first.status !== 401 || this.#config.token?.path === undefined)
      return accept(request, first, this.#token);
    // The token may have been rotated since we read it.
    await this.#refresh(true);
    if (this.#token === before) return accept(request, first, this.#token);
    await first.body?.cancel();
    return accept(request, await this.#fetch(request), this.#token);
  }

  close(): void {
    this.#session?.session.close();
  }

  async #fetch(request: RequestOptions): Promise<Response> {
    const headers: Record<string, string> = {
      accept: 'application/json',
      'user-agent': this.#options.userAgent ?? 'flanneld',
      ...request.headers,
    };
    if (this.#token !== undefined) headers.authorization = `Bearer ${this.#token}`;
    const session = this.#session?.session;
    if (session === undefined) throw new ConfigError(this.#config.source, 'no credentials were read');
    const { onRequest = () => {} } = this.#options;
    const { verb } = request;
    try {
      const response = await session.fetch(`${this.#config.server}${request.path}`, {
        method: request.method,
        headers,
        signal: request.signal,
        // A redirect would carry the token to whoever it names.
        redirect: 'manual',
        // Silence is watched by the caller: Bun's own timer moves in steps of four seconds and starts with the answer.
        timeout: false,
        ...(request.body !== undefined && { body: request.body }),
      });
      onRequest({ verb, code: response.status, date: response.headers.get('date') ?? undefined });
      return response;
    } catch (error) {
      // Aborted by its caller, the request says nothing of the server; by a timeout, it does.
      const { aborted, reason } = request.signal;
      const failure = transportError(describeRequest(request, this.#config.server), aborted ? reason : error);
      if (failure instanceof TransportError && (!aborted || failure.failure === 'timeout'))
        onRequest({ verb, code: failure.failure });
      request.signal.throwIfAborted();
      throw failure;
    }
  }

  /**
   * Reads credential files again when they are due, or `now`; concurrent callers share one read. When that fails, what
   * was read before may be good still: only the server's refusal (`now`) makes it an error.
   */
  async #refresh(now = false): Promise<void> {
    const age = this.#options.clock.monotonic() - this.#readAt;
    if (!now && age < (this.#options.maxAge ?? 1000)) return;
    this.#refreshing ??= this.#read().finally(() => {
      this.#refreshing = undefined;
    });
    try {
      await this.#refreshing;
    } catch (error) {
      if (now || this.#session === undefined) throw error;
    }
  }

  async #read(): Promise<void> {
    const { token, ca, cert, key } = this.#config;
    const readFile = this.#options.readFile ?? readTextFile;
    const read = async (secret: Secret | undefined) => (await secret?.read(readFile))?.trim();
    const [tokenText, caText, certText, keyText] = await Promise.all([
      read(token),
      read(ca),
      read(cert),
      read(key),
    ]);
    if (tokenText !== undefined && !/^[\x21-\x7e]+$/.test(tokenText)) {
      throw new ConfigError(String(token), 'is not a bearer token (one line of printable characters)');
    }
    checkPem(ca, caText, 'CERTIFICATE');
    checkPem(cert, certText, 'CERTIFICATE');
    checkPem(key, keyText, 'PRIVATE KEY');
    this.#token = tokenText;
    this.#openSession({ ca: caText, cert: certText, key: keyText });
    this.#readAt = this.#options.clock.monotonic();
  }

  #openSession(pem: { ca: string | undefined; cert: string | undefined; key: string | undefined }): void {
    const material = JSON.stringify([pem.ca, pem.cert, pem.key]);
    if (this.#session?.material === material) return;
    const { serverName, insecure } = this.#config;
    const session = new Bun.FetchSession({
      tls: {
        rejectUnauthorized: !insecure,
        ...(pem.ca !== undefined && { ca: pem.ca }),
        ...(pem.cert !== undefined && { cert: pem.cert }),
        ...(pem.key !== undefined && { key: pem.key }),
        ...(serverName !== undefined && { serverName }),
      },
      proxy: this.#config.proxy ?? (isLoopback(this.#config.server) ? false : undefined),
    });
    this.#session?.session.close();
    this.#session = { material, session };
  }
}

/** `GET https://192.0.2.1:6443/api/v1/nodes`: without the query, which only makes messages long. */
export function describeRequest(request: Pick<RequestOptions, 'method' | 'path'>, server: string): string {
  return `${request.method} ${server}${request.path.replace(/\?.*/, '')}`;
}

async function accept(request: RequestOptions, response: Response, token?: string): Promise<Response> {
  if (response.ok) return response;
  const status = await readStatus(response);
  throw new ApiError({
    request: `${request.method} ${request.path.replace(/\?.*/, '')}`,
    status: response.status,
    reason: status.reason,
    message: conceal(status.message, [token]),
    retryAfter: retryAfter(response.headers.get('retry-after')) ?? status.retryAfter,
  });
}

interface StatusText {
  readonly reason: string;
  readonly message: string;
  readonly retryAfter: number | undefined;
}

/** What the Status object in an error answer says; anything else is kept out of the log but for its first line. */
async function readStatus(response: Response): Promise<StatusText> {
  const bytes = await readBounded(response, 64 << 10);
  if (isProtobuf(response.headers)) return protobufStatus(bytes);
  const text = new TextDecoder().decode(bytes);
  try {
    return statusText(JSON.parse(text));
  } catch {
    return { reason: '', message: text.split('\n', 1)[0]?.slice(0, 200) ?? '', retryAfter: undefined };
  }
}

/** A request that accepts protobuf gets its errors in it, too. */
function protobufStatus(bytes: Uint8Array): StatusText {
  try {
    return statusText(decodeMessage(openEnvelope(bytes).raw, STATUS, ALL));
  } catch {
    return { reason: '', message: '', retryAfter: undefined };
  }
}

/** Reason, message and wait of a Status object (apimachinery meta/v1); empty for what is none. */
export function statusText(value: unknown): StatusText {
  const table = typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  const string = (key: string) => (typeof table[key] === 'string' ? table[key] : '');
  const details = typeof table.details === 'object' && table.details !== null ? table.details : {};
  const seconds = 'retryAfterSeconds' in details ? details.retryAfterSeconds : undefined;
  const wait = typeof seconds === 'number' && seconds > 0 ? seconds * 1000 : undefined;
  return { reason: string('reason'), message: string('message'), retryAfter: wait };
}

async function readBounded(response: Response, limit: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of response.body ?? []) {
      chunks.push(chunk);
      length += chunk.length;
      if (length > limit) break;
    }
  } catch {
    // The status line is what counts; the text is decoration.
  }
  return Buffer.concat(chunks).subarray(0, limit);
}

/** Retry-After (RFC 9110 section 10.2.3): seconds or a date; ms. */
export function retryAfter(header: string | null, now: number = Date.now()): number | undefined {
  if (header === null) return undefined;
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

function checkPem(secret: Secret | undefined, text: string | undefined, label: string): void {
  if (text === undefined || (text.includes('-----BEGIN ') && text.includes(`${label}-----`))) return;
  throw new ConfigError(String(secret), `is not PEM text with a ${label}`);
}

function isLoopback(server: string): boolean {
  const host = new URL(server).hostname;
  return host === 'localhost' || host === '[::1]' || host.startsWith('127.');
}
