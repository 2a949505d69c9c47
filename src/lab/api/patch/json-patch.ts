import { badRequest, unprocessable } from '../status.ts';
import { isObject, type Json, type JsonObject } from '../object.ts';

/** The largest number of operations that a real server takes (`maxJSONPatchOperations`). */
const MAX_OPERATIONS = 10_000;

/**
 * JSON patch, RFC 6902. Returns a new document.
 * Throws 400 for what is not a patch, 422 for one that cannot be applied (also a failed `test`).
 */
export function jsonPatch(document: Json, patch: Json): Json {
  if (!Array.isArray(patch)) throw badRequest('a JSON patch is a list of operations');
  if (patch.length > MAX_OPERATIONS) {
    throw unprocessable(
      `The allowed maximum operations in a JSON patch is ${MAX_OPERATIONS}, got ${patch.length}`,
    );
  }
  const holder: JsonObject = { root: structuredClone(document) };
  for (const operation of patch) {
    if (!isObject(operation)) throw badRequest('a JSON patch operation is an object');
    apply(holder, operation);
  }
  return holder['root'] ?? null;
}

function apply(holder: JsonObject, operation: JsonObject): void {
  const path = pointer(operation, 'path');
  switch (operation['op']) {
    case 'add':
      insert(holder, path, given(operation));
      return;
    case 'remove':
      remove(holder, path);
      return;
    case 'replace':
      remove(holder, path);
      insert(holder, path, given(operation));
      return;
    case 'move': {
      const from = pointer(operation, 'from');
      if (path.length > from.length && from.every((token, at) => token === path[at])) {
        throw unprocessable('a JSON patch cannot move a value into itself');
      }
      insert(holder, path, remove(holder, from));
      return;
    }
    case 'copy':
      insert(holder, path, structuredClone(read(holder, pointer(operation, 'from'))));
      return;
    case 'test':
      if (!Bun.deepEquals(read(holder, path), given(operation), true)) {
        throw unprocessable(`testing value /${path.slice(1).join('/')} failed: test failed`);
      }
      return;
    default:
      throw badRequest(`unexpected kind of JSON patch operation: ${JSON.stringify(operation['op'] ?? null)}`);
  }
}

function given(operation: JsonObject): Json {
  if (operation['value'] === undefined) throw badRequest('a JSON patch operation lacks its value');
  return operation['value'];
}

/** RFC 6901, with the holder's member in front so that '' names the whole document. */
function pointer(operation: JsonObject, field: 'path' | 'from'): string[] {
  const text = operation[field];
  if (typeof text !== 'string' || (text !== '' && !text.startsWith('/'))) {
    throw badRequest(`a JSON patch operation has no valid ${field}`);
  }
  const tokens = text.split('/').slice(1);
  return ['root', ...tokens.map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'))];
}

const missing = (path: readonly string[]) =>
  unprocessable(`the JSON patch names a missing path: /${path.slice(1).join('/')}`);

/** A list index; `-` means behind the last, which only an insertion may name. */
function position(list: Json[], token: string, path: readonly string[]): number {
  if (token === '-') return list.length;
  if (!/^(0|[1-9]\d{0,8})$/.test(token)) throw missing(path);
  return Number(token);
}

function child(parent: Json | undefined, token: string, path: readonly string[]): Json {
  let value: Json | undefined;
  if (Array.isArray(parent)) value = parent[position(parent, token, path)];
  else if (isObject(parent) && Object.hasOwn(parent, token)) value = parent[token];
  if (value === undefined) throw missing(path);
  return value;
}

function read(holder: JsonObject, path: readonly string[]): Json {
  let value: Json = holder;
  for (const token of path) value = child(value, token, path);
  return value;
}

function insert(holder: JsonObject, path: readonly string[], value: Json): void {
  const parent = read(holder, path.slice(0, -1));
  const last = path.at(-1) ?? '';
  if (Array.isArray(parent)) {
    const at = position(parent, last, path);
    if (at > parent.length) throw missing(path);
    parent.splice(at, 0, value);
  } else if (isObject(parent)) {
    // defineProperty, so that a key `__proto__` stays data.
    Object.defineProperty(parent, last, { value, writable: true, enumerable: true, configurable: true });
  } else throw missing(path);
}

function remove(holder: JsonObject, path: readonly string[]): Json {
  const parent = read(holder, path.slice(0, -1));
  const last = path.at(-1) ?? '';
  const value = child(parent, last, path);
  if (Array.isArray(parent)) parent.splice(position(parent, last, path), 1);
  else if (isObject(parent)) delete parent[last];
  return value;
}
