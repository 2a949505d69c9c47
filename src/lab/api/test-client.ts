import { textAt, type JsonObject, type KubeObject } from './object.ts';
import type { ApiServer } from './server.ts';

export interface Reply {
  readonly code: number;
  readonly headers: Headers;
  readonly body: JsonObject;
}

export interface CallOptions {
  readonly body?: unknown;
  readonly type?: string;
  readonly headers?: Record<string, string>;
}

/** One request over HTTP; the body comes back as JSON. */
export async function call(server: ApiServer, request: string, options: CallOptions = {}): Promise<Reply> {
  const [method = 'GET', path = '/'] = request.split(' ');
  const { body } = options;
  const type = options.type ?? (body === undefined ? undefined : 'application/json');
  const response = await fetch(`${server.url}${path}`, {
    method,
    headers: { ...(type === undefined ? {} : { 'content-type': type }), ...options.headers },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  return { code: response.status, headers: response.headers, body: (await response.json()) as JsonObject };
}

export const STRATEGIC = 'application/strategic-merge-patch+json';
export const MERGE = 'application/merge-patch+json';
export const JSON_PATCH = 'application/json-patch+json';

/** Names of a list's items, in order. */
export function names(list: JsonObject): string[] {
  return (list['items'] as unknown as KubeObject[]).map((item) => item.metadata.name);
}

export function metadataOf(body: JsonObject): JsonObject {
  return body['metadata'] as JsonObject;
}

/** The token for a list's next page; '' on the last. */
export function continueOf(list: JsonObject): string {
  return textAt(list, 'metadata.continue') ?? '';
}

export interface WatchLine {
  readonly type: string;
  readonly object: KubeObject;
}

/** A watch over HTTP as a client sees it. */
export class WatchClient implements AsyncDisposable {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #abort: AbortController;
  readonly code: number;
  #text = '';

  private constructor(response: Response, abort: AbortController) {
    this.code = response.status;
    if (response.body === null) throw new Error('a watch without a body');
    this.#reader = response.body.getReader() as ReadableStreamDefaultReader<Uint8Array>;
    this.#abort = abort;
  }

  /** `path` with its query but without `watch`. Returns as soon as the headers are there. */
  static async open(
    server: ApiServer,
    path: string,
    headers: Record<string, string> = {},
  ): Promise<WatchClient> {
    const abort = new AbortController();
    const url = `${server.url}${path}${path.includes('?') ? '&' : '?'}watch=true`;
    return new WatchClient(await fetch(url, { headers, signal: abort.signal }), abort);
  }

  /** The next line, or undefined at an end in order. Rejects when the connection breaks; see `rest`. */
  async line(): Promise<string | undefined> {
    for (;;) {
      const end = this.#text.indexOf('\n');
      if (end >= 0) {
        const line = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 1);
        return line;
      }
      const { value, done } = await this.#reader.read();
      if (done) return undefined;
      this.#text += new TextDecoder().decode(value);
    }
  }

  async next(): Promise<WatchLine> {
    const line = await this.line();
    if (line === undefined) throw new Error('the watch has ended');
    return JSON.parse(line) as WatchLine;
  }

  async take(count: number): Promise<WatchLine[]> {
    const lines: WatchLine[] = [];
    while (lines.length < count) lines.push(await this.next());
    return lines;
  }

  /** What came after the last whole line. */
  get rest(): string {
    return this.#text;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    return Promise.resolve();
  }
}

/** `TYPE name` of each line. */
export function told(lines: readonly WatchLine[]): string[] {
  return lines.map(({ type, object }) => `${type} ${object.metadata.name}`);
}

/** Resolves to the error of a promise that must reject. */
export async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('it did not fail');
}
