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

  constructor(offset: number, message: string) {
    super('api', `byte ${offset} of the answer: ${message}`);
    this.offset = offset;
  }
}
