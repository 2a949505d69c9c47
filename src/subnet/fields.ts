import { ConfigError } from '#base/errors.ts';
import { nearest } from './nearest.ts';

/** A JSON object whose keys are looked up without regard to case, as Go's encoding/json does. */
export interface Fields {
  /** Values by lower-case key; `null` counts as missing. */
  readonly values: ReadonlyMap<string, unknown>;
  /** Prefix of messages, e.g. `net-conf.json: Backend.`. */
  readonly path: string;
}

/** Keys with values that no message shows. */
const SECRET = /psk|password|secret|token/i;

/** Shows a value in a message: JSON, cut to a readable length. */
export function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Folds the keys of `object`. A key that stands twice in different spelling is warned about; the last one counts. */
export function foldKeys(object: Record<string, unknown>, path: string, warnings: string[]): Fields {
  const values = new Map<string, unknown>();
  const spelling = new Map<string, string>();
  for (const [key, value] of Object.entries(object)) {
    const folded = key.toLowerCase();
    const earlier = spelling.get(folded);
    if (earlier !== undefined) {
      warnings.push(`${path}${key}: the same key stands before as ${show(earlier)}; the last one counts`);
    }
    spelling.set(folded, key);
    if (value === null) values.delete(folded);
    else values.set(folded, value);
  }
  return { values, path };
}

/** One warning per key of `object` that is not in `known`, with the nearest known key. */
export function unknownKeys(keys: Iterable<string>, known: readonly string[], path: string): string[] {
  const folded = new Set(known.map((key) => key.toLowerCase()));
  const warnings: string[] = [];
  for (const key of keys) {
    if (folded.has(key.toLowerCase())) continue;
    const near = nearest(key, known);
    const hint = near === undefined ? `known keys are ${known.join(', ')}` : `did you mean ${near}?`;
    warnings.push(`${path}${key.slice(0, 64)}: unknown key, ignored; ${hint}`);
  }
  return warnings;
}

/** What is wrong with the value of `key`: the error to throw. */
export function wrong(fields: Fields, key: string, allowed: string): ConfigError {
  const value = fields.values.get(key.toLowerCase());
  const shown = SECRET.test(key) ? 'its value (not shown)' : show(value);
  const text = value === undefined ? 'is missing' : `${shown} is not allowed`;
  return new ConfigError(`${fields.path}${key}`, `${text}; it must be ${allowed}`);
}

export function booleanField(fields: Fields, key: string, fallback: boolean): boolean {
  const value = fields.values.get(key.toLowerCase());
  if (value === undefined) return fallback;
  if (typeof value !== 'boolean') throw wrong(fields, key, 'true or false (without quotes)');
  return value;
}

/** A whole number in [min, max]; undefined when the key is missing. */
export function integerField(
  fields: Fields,
  key: string,
  range: { min: number; max: number },
): number | undefined {
  const value = fields.values.get(key.toLowerCase());
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < range.min || value > range.max) {
    throw wrong(fields, key, `a whole number from ${range.min} to ${range.max} (without quotes)`);
  }
  return value;
}

/** A string without control characters and of bounded length; undefined when the key is missing. */
export function stringField(fields: Fields, key: string, maxLength = 4096): string | undefined {
  const value = fields.values.get(key.toLowerCase());
  if (value === undefined) return undefined;
  if (typeof value !== 'string') throw wrong(fields, key, 'a string');
  if (value.length > maxLength) throw wrong(fields, key, `a string of at most ${maxLength} characters`);
  if (/[\x00-\x1f\x7f]/.test(value)) throw wrong(fields, key, 'a string without control characters');
  return value;
}
