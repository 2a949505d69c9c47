import { ConfigError } from '#base/errors.ts';
import { isConnectionError, TransportError, transportError } from '../k8s/errors.ts';
import { conceal, type ReadFile, readTextFile, type Secret } from '../secret.ts';
import { Silence } from '../silence.ts';
import { EtcdError, isPreconditionFailed, isTokenRefused, isUnavailable } from './errors.ts';
import { decodeError, type Json, objectOf } from './wire.ts';

export interface EtcdConfig {
  /** `http://` or `https://` addresses of members, tried in this order. */
  readonly endpoints: readonly string[];
  readonly ca?: Secret | undefined;
  readonly cert?: Secret | undefined;
  readonly key?: Secret | undefined;
  /** Empty: no authentication. */
  readonly username: string;
  readonly password?: Secret | undefined;
}

export interface CallOptions {
  readonly signal: AbortSignal;
  /** Silence after which the member is given up, ms. */
  readonly silence?: number;
}

const SILENCE = 5000;
/** Largest answer, and largest message of a stream, bytes. */
const MAX_ANSWER = 32 << 20;

const NO_GATEWAY =
  "etcd 3.4 or newer answers here unless its JSON gateway is switched off (--enable-grpc-gateway) or the address is a proxy's";
const NO_COMMON_NAME =
  'while authentication is on, the JSON gateway of etcd takes no client certificate with a CommonName: give one without';

/**
 * Sends requests to etcd's JSON gateway (`/v3/...`, every etcd since 3.4). Stays with a member as long as it answers; when it does
 * not, the others are tried in turn.
 */
export class EtcdTransport {
  readonly #config: EtcdConfig;
  readonly #readFile: ReadFile;
  #at = 0;
  #token: string | undefined;
  #password = '';
  #session: Bun.FetchSession | undefined;

  constructor(config: EtcdConfig, readFile: ReadFile = readTextFile) {
    if (config.endpoints.length === 0) throw new ConfigError('--etcd-endpoints', 'is empty');
    this.#config = config;
    this.#readFile = readFile;
  }

  /** The member that is asked next. */
  get endpoint(): string {
    return this.#config.endpoints[this.#at % this.#config.endpoints.length] ?? '';
  }

  close(): void {
    this.#session?.close();
  }

  /** Another member next time. */
  #rotate(): void {
    this.#at = (this.#at + 1) % this.#config.endpoints.length;
    // Certificates may have been renewed.
    this.#session?.close();
    this.#session = undefined;
  }

  /** One answer. Throws EtcdError, TransportError, ConfigError or the signal's reason, after every member had its chance. */
  call(path: string, body: Json, options: CallOptions): Promise<Json> {
    return this.#each(options.signal, () => this.#callOnce(path, body, options));
  }

  /**
   * Messages of a stream, each the `result` of a line. Resolves when the member ends it. Is not tried again elsewhere: the caller knows
   * where to go on, and the next one goes to another member. `silence` must be longer than the pauses that are to be expected.
   */
  async stream(
    path: string,
    body: Json,
    options: CallOptions & { readonly onMessage: (result: unknown) => void },
  ): Promise<void> {
    try {
      await this.#authenticated(options.signal, () => this.#streamOnce(path, body, options));
    } catch (error) {
      options.signal.throwIfAborted();
      if (isElsewhere(error)) this.#rotate();
      throw error;
    }
  }

  async #each<T>(signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
    const { endpoints } = this.#config;
    for (let tried = 1; ; tried += 1) {
      try {
        return await this.#authenticated(signal, attempt);
      } catch (error) {
        signal.throwIfAborted();
        if (!isElsewhere(error)) throw error;
        this.#rotate();
        if (tried >= endpoints.length) throw error;
      }
    }
  }

  /** With a token when there is a user; a token that is refused is fetched anew once. */
  async #authenticated<T>(signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
    if (this.#config.username === '') return attempt();
    const fresh = this.#token === undefined;
    if (fresh) await this.#login(signal);
    try {
      return await attempt();
    } catch (error) {
      if (fresh || !isTokenRefused(error)) throw error;
      await this.#login(signal);
      return attempt();
    }
  }

  async #login(signal: AbortSignal): Promise<void> {
    const { username, password } = this.#config;
    this.#token = undefined;
    const text = (await password?.read(this.#readFile)) ?? '';
    this.#password = text;
    try {
      const answer = await this.#callOnce(
        '/v3/auth/authenticate',
        { name: username, password: text },
        { signal },
      );
      const { token } = answer;
      if (typeof token === 'string' && /^[\x21-\x7e]+$/.test(token)) this.#token = token;
    } catch (error) {
      // Authentication is switched off in this cluster: the user is of no use, and no harm.
      if (!isPreconditionFailed(error)) throw error;
      this.#token = '';
    }
  }

  async #callOnce(path: string, body: Json, options: CallOptions): Promise<Json> {
    using silence = new Silence(options.silence ?? SILENCE, options.signal);
    const request = `POST ${this.endpoint}${path}`;
    try {
      const response = await this.#post(path, body, silence.signal);
      const text = await readBounded(response, request);
      if (!response.ok) throw this.#refused(request, response.status, text);
      return objectOf(parse(text), path);
    } catch (error) {
      throw this.#failure(request, error, options.signal);
    }
  }

  async #streamOnce(
    path: string,
    body: Json,
    options: CallOptions & { readonly onMessage: (result: unknown) => void },
  ): Promise<void> {
    using silence = new Silence(options.silence ?? SILENCE, options.signal);
    const request = `POST ${this.endpoint}${path}`;
    const onLine = (line: string) => {
      const message = objectOf(parse(line), path);
      if (message['error'] !== undefined) {
        const failure = decodeError(message['error']);
        throw new EtcdError({ request, ...failure, message: this.#conceal(failure.message) });
      }
      options.onMessage(message['result']);
    };
    try {
      const response = await this.#post(path, body, silence.signal);
      if (!response.ok) {
        const text = await readBounded(response, request);
        throw this.#refused(request, response.status, text);
      }
      const lines = new Lines(request, onLine);
      for await (const chunk of response.body ?? []) {
        silence.heard();
        lines.take(chunk);
      }
    } catch (error) {
      throw this.#failure(request, error, options.signal);
    }
  }

  /** An answer that is not 2xx. One that is not etcd's own JSON (a proxy's page) has code 0. */
  #refused(request: string, status: number, text: string): EtcdError {
    const { code, message } = decodeError(parse(text));
    const said = this.#conceal(message === '' ? (text.split('\n', 1)[0]?.slice(0, 120) ?? '') : message);
    // etcd checks this before its gateway (embed/serve.go), so the answer is plain text.
    const named = status === 400 && code === 0 && this.#config.cert !== undefined;
    const cure = status === 404 ? NO_GATEWAY : named ? NO_COMMON_NAME : undefined;
    return new EtcdError({ request, code, cure, message: said === '' ? `${status}` : `${status}: ${said}` });
  }

  #failure(request: string, error: unknown, signal: AbortSignal): unknown {
    if (signal.aborted) return signal.reason;
    return isConnectionError(error) ? transportError(request, error, 'etcd') : error;
  }

  #conceal(text: string): string {
    return conceal(text, [this.#token, this.#password]);
  }

  async #post(path: string, body: Json, signal: AbortSignal): Promise<Response> {
    this.#session ??= await this.#open();
    const headers: Record<string, string> = { 'content-type': 'application/json', 'user-agent': 'flanneld' };
    if (this.#token !== undefined && this.#token !== '') headers['authorization'] = this.#token;
    return this.#session.fetch(`${this.endpoint}${path}`, {
      method: 'POST',
      headers,
      signal,
      body: JSON.stringify(body),
      // A redirect would carry the token to whoever it names.
      redirect: 'manual',
      timeout: false,
    });
  }

  async #open(): Promise<Bun.FetchSession> {
    const { ca, cert, key } = this.#config;
    const read = async (secret: Secret | undefined) => secret?.read(this.#readFile);
    const [caText, certText, keyText] = await Promise.all([read(ca), read(cert), read(key)]);
    return new Bun.FetchSession({
      tls: {
        ...(caText !== undefined && { ca: caText }),
        ...(certText !== undefined && { cert: certText }),
        ...(keyText !== undefined && { key: keyText }),
      },
      // The agent must reach its store before any proxy can be trusted to be reachable.
      proxy: false,
    });
  }
}

/** Another member may do better. */
function isElsewhere(error: unknown): boolean {
  return isUnavailable(error) || error instanceof TransportError;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function readBounded(response: Response, request: string): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > MAX_ANSWER) throw new EtcdError({ request, code: 0, message: 'the answer is too large' });
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Cuts a stream of bytes into lines. */
class Lines {
  readonly #request: string;
  readonly #onLine: (line: string) => void;
  #parts: Uint8Array[] = [];
  #length = 0;

  constructor(request: string, onLine: (line: string) => void) {
    this.#request = request;
    this.#onLine = onLine;
  }

  take(chunk: Uint8Array): void {
    let from = 0;
    for (;;) {
      const end = chunk.indexOf(0x0a, from);
      if (end < 0) break;
      this.#parts.push(chunk.subarray(from, end));
      const line = Buffer.concat(this.#parts).toString('utf8');
      this.#parts = [];
      this.#length = 0;
      from = end + 1;
      if (line.trim() !== '') this.#onLine(line);
    }
    if (from >= chunk.length) return;
    this.#length += chunk.length - from;
    if (this.#length > MAX_ANSWER) {
      throw new EtcdError({ request: this.#request, code: 0, message: 'a message is too large' });
    }
    // The reader may use its buffer again.
    this.#parts.push(chunk.slice(from));
  }
}
