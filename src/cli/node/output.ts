import { escapeControl } from '#base/log.ts';
import type { Form } from './options.ts';
import { yamlLines } from './yaml.ts';

/** The value as JSON or YAML, with a line end. Addresses and the like become texts; a terminal acts on nothing in it. */
export function document(form: Extract<Form, 'json' | 'yaml'>, value: unknown): string {
  // By way of JSON: an address is an object that says itself how it is written.
  const plain: unknown = JSON.parse(JSON.stringify(value));
  const lines = form === 'json' ? JSON.stringify(plain, undefined, 2).split('\n') : yamlLines(plain);
  return lines.map((line) => `${escapeControl(line)}\n`).join('');
}

const UNITS: readonly (readonly [string, number])[] = [
  ['d', 86_400],
  ['h', 3600],
  ['min', 60],
  ['s', 1],
];

/** A time span in the two largest units that it has: `3 h 12 min`, `4 s`. Negative ones are none. */
export function span(ms: number): string {
  let seconds = Math.max(0, Math.floor(ms / 1000));
  const words: string[] = [];
  for (const [name, size] of UNITS) {
    const count = Math.floor(seconds / size);
    seconds -= count * size;
    if (count > 0 || (name === 's' && words.length === 0)) words.push(`${count} ${name}`);
    else if (words.length > 0) break;
    if (words.length === 2) break;
  }
  return words.join(' ');
}

/** How long ago a time of the status is; undefined when it is none. */
export function since(time: string | undefined, now: number): number | undefined {
  const at = Date.parse(time ?? '');
  return Number.isNaN(at) ? undefined : now - at;
}

/** `3 peers`, `1 peer`. */
export function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`;
}
