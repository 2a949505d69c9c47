import { ApiError } from './errors.ts';
import { JsonError } from './selection.ts';
import { statusText } from './transport.ts';

export type WatchEvent = {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';
  readonly object: unknown;
};

/** Checks an event's type. An ERROR event is thrown, as the ApiError that its Status tells. `name`: of the watch. */
export function watchEvent(name: string, value: unknown): WatchEvent {
  const type = property(value, 'type');
  const object = property(value, 'object');
  if (type === 'ADDED' || type === 'MODIFIED' || type === 'DELETED' || type === 'BOOKMARK')
    return { type, object };
  if (type !== 'ERROR') throw new JsonError(0, 'an event of unknown type');
  const code = property(object, 'code');
  throw new ApiError({ request: name, status: typeof code === 'number' ? code : 500, ...statusText(object) });
}

/** `value[key]` of a JSON value; undefined when `value` is no object. */
export function property(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined;
}
