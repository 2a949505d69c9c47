import type { Problem } from '../../model.ts';

/** Why there is no usable answer. */
export type Failure =
  | { readonly kind: 'network' | 'timeout' | 'shape' }
  | { readonly kind: 'status'; readonly status: number; readonly problem?: Problem }
  | { readonly kind: 'schema'; readonly found: string };

export class AnswerError extends Error {
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.kind);
    this.failure = failure;
  }
}

export function failureOf(error: unknown): Failure {
  if (error instanceof AnswerError) return error.failure;
  if (error instanceof DOMException && error.name === 'TimeoutError') return { kind: 'timeout' };
  return { kind: 'network' };
}

export interface Question {
  readonly path: string;
  readonly signal: AbortSignal;
  readonly post?: unknown;
  /** Of the answer that is known already. */
  readonly etag?: string;
  /** Lists that the answer must have: nothing is drawn of one that is something else. */
  readonly lists: readonly string[];
  /** Whether the answer carries a schema number. */
  readonly schema: boolean;
}

export interface Answer<T> {
  /** Undefined: as before. */
  readonly value?: T;
  readonly etag?: string;
}

/** Asks the server that the page came from; throws `AnswerError`, or what `fetch` throws. */
export async function ask<T>(question: Question): Promise<Answer<T>> {
  const { path, signal, post, etag } = question;
  const response = await fetch(path, {
    signal,
    cache: 'no-store',
    credentials: 'same-origin',
    headers: {
      accept: 'application/json',
      ...(etag === undefined ? {} : { 'if-none-match': etag }),
      ...(post === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(post === undefined ? {} : { method: 'POST', body: JSON.stringify(post) }),
  });
  if (response.status === 304 || response.status === 204) return {};
  const body: unknown = await response.json().catch((error: unknown) => {
    if (signal.aborted) throw error;
    return undefined;
  });
  if (!response.ok) {
    const problem = problemOf(body);
    throw new AnswerError({ kind: 'status', status: response.status, ...(problem && { problem }) });
  }
  check(body, question);
  const tag = response.headers.get('etag');
  return { value: body as T, ...(tag === null ? {} : { etag: tag }) };
}

function problemOf(body: unknown): Problem | undefined {
  if (!isRecord(body) || typeof body['error'] !== 'string') return undefined;
  const cure = body['cure'];
  return { error: body['error'], ...(typeof cure === 'string' ? { cure } : {}) };
}

function check(body: unknown, { schema, lists }: Question): void {
  if (!isRecord(body)) throw new AnswerError({ kind: 'shape' });
  if (schema && body['schema'] !== 1) {
    throw new AnswerError({ kind: 'schema', found: String(body['schema']).slice(0, 20) });
  }
  if (!lists.every((name) => Array.isArray(body[name]))) throw new AnswerError({ kind: 'shape' });
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
