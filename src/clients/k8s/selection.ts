import { FlannelError } from '#base/errors.ts';

/**
 * Which parts of a JSON value are kept.
 * - `all`: the value as it is.
 * - `members`: of an object only the members that `member` has a selection for; any other value as it is.
 * - `each`: of an array every item is emitted by itself as soon as it is complete, and the array is left empty in its
 *   container; any other value as it is.
 */
export type Selection =
  | { readonly kind: 'all' }
  | { readonly kind: 'members'; readonly member: (key: string) => Selection | undefined }
  | { readonly kind: 'each'; readonly item: Selection };

/** Keeps a value whole. */
export const ALL: Selection = { kind: 'all' };

/** Keeps the named members of an object. */
export function members(table: Readonly<Record<string, Selection>>): Selection {
  const map = new Map(Object.entries(table));
  return { kind: 'members', member: (key) => map.get(key) };
}

/** Text that is not JSON, or a kept part beyond its bound. `offset` counts bytes of the stream. */
export class JsonError extends FlannelError {
  override readonly name = 'JsonError';
  readonly offset: number;
  readonly #what: string;

  constructor(offset: number, what: string, from?: { readonly request: string; readonly type: string }) {
    const place = `byte ${offset} of the answer`;
    const details = {
      cure: 'check that the address is that of the API server, and that nothing else answers for it',
    };
    super(
      'api',
      from === undefined ? `${place}: ${what}` : `${from.request}: ${place} (${from.type}): ${what}`,
      details,
    );
    this.offset = offset;
    this.#what = what;
  }

  /** The same, naming the request and the answer's content type. */
  of(request: string, type: string | null): JsonError {
    return new JsonError(this.offset, this.#what, {
      request,
      type: (type ?? 'no content type').slice(0, 64),
    });
  }
}
