import { CniError, CODE, invalidConfig } from './error.ts';

/** A JSON object as it came: nothing is known about its values. */
export type JsonObject = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Parses text that must be one JSON object. Throws CniError 6; `what` names the text. */
export function parseObject(text: string, what: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    const hint = text.trim() === '' ? 'it is empty' : undefined;
    throw new CniError(CODE.DECODE_FAILURE, `${what} is not JSON`, { cause, details: hint });
  }
  if (!isObject(value)) throw new CniError(CODE.DECODE_FAILURE, `${what} is not a JSON object`);
  return value;
}

/** Shows a value in a message, cut to a readable length. */
export function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}

/**
 * The value of `key`: an exact match first, then one that differs in case only, as Go's encoding/json does. `null` counts
 * as missing.
 */
export function field(object: JsonObject, key: string): unknown {
  if (Object.hasOwn(object, key)) return object[key] ?? undefined;
  const folded = key.toLowerCase();
  for (const name of Object.keys(object)) if (name.toLowerCase() === folded) return object[name] ?? undefined;
  return undefined;
}

/** Throws CniError 7 that names key, value and what was expected. */
function expected(key: string, value: unknown, what: string): never {
  throw invalidConfig(`${key}: ${show(value)} is not ${what}`);
}

export function stringField(object: JsonObject, key: string): string | undefined {
  const value = field(object, key);
  return value === undefined || typeof value === 'string' ? value : expected(key, value, 'a string');
}

/**
 * An absolute path, undefined when missing or empty. A runtime calls ADD and DEL from whatever folder it is in: a relative path
 * would mean another file each time. Throws CniError 7.
 */
export function absolutePath(object: JsonObject, key: string): string | undefined {
  const path = stringField(object, key) || undefined;
  if (path === undefined || (path.startsWith('/') && !path.includes('\0'))) return path;
  throw invalidConfig(`${key}: ${show(path)} is not an absolute path`);
}

export function boolField(object: JsonObject, key: string, fallback: boolean): boolean {
  const value = field(object, key) ?? fallback;
  return typeof value === 'boolean' ? value : expected(key, value, 'true or false');
}

/** A whole number from `min` to `max`. */
export function intField(
  object: JsonObject,
  key: string,
  { min, max }: { min: number; max: number },
): number | undefined {
  const value = field(object, key);
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max) return value;
  return expected(key, value, `a whole number from ${min} to ${max}`);
}

export function objectField(object: JsonObject, key: string): JsonObject | undefined {
  const value = field(object, key);
  return value === undefined || isObject(value) ? value : expected(key, value, 'an object');
}

export function arrayField(object: JsonObject, key: string): readonly unknown[] | undefined {
  const value = field(object, key);
  return value === undefined || Array.isArray(value) ? value : expected(key, value, 'a list');
}

export function stringsField(object: JsonObject, key: string): readonly string[] | undefined {
  return arrayField(object, key)?.map((entry) =>
    typeof entry === 'string' ? entry : expected(key, entry, 'a string'),
  );
}

export function objectsField(object: JsonObject, key: string): readonly JsonObject[] | undefined {
  return arrayField(object, key)?.map((entry) =>
    isObject(entry) ? entry : expected(key, entry, 'an object'),
  );
}

/** JSON without blanks and with the keys of every object sorted, as Go writes a map. */
export function sortedJson(value: unknown): string {
  return JSON.stringify(sorted(value));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isObject(value)) return value;
  const plain = 'toJSON' in value && typeof value.toJSON === 'function' ? value.toJSON() : value;
  if (!isObject(plain)) return plain;
  const entries = Object.entries(plain).filter(([, inner]) => inner !== undefined);
  return Object.fromEntries(
    entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, inner]) => [key, sorted(inner)]),
  );
}
