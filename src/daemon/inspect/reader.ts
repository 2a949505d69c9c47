import { FlannelError } from '#base/errors.ts';
import { isObject } from '#subnet/fields.ts';

/** A value of a JSON document with the path to it. What is not as asked for is a FlannelError that names the path. */
export class Reader {
  readonly value: unknown;
  readonly #path: string;

  constructor(value: unknown, path: string) {
    this.value = value;
    this.#path = path;
  }

  static parse(text: string, path: string): Reader {
    try {
      return new Reader(JSON.parse(text), path);
    } catch {
      throw new Reader(undefined, path).fail('JSON');
    }
  }

  field(name: string): Reader {
    return this.optional(name) ?? new Reader(undefined, `${this.#path}.${name}`);
  }

  /** Undefined when there is none; missing and null are the same. */
  optional(name: string): Reader | undefined {
    if (!isObject(this.value)) throw this.fail('an object');
    const value = Object.hasOwn(this.value, name) ? this.value[name] : undefined;
    return value === undefined || value === null ? undefined : new Reader(value, `${this.#path}.${name}`);
  }

  text(): string {
    if (typeof this.value !== 'string') throw this.fail('a text');
    return this.value;
  }

  number(): number {
    if (typeof this.value !== 'number' || !Number.isFinite(this.value)) throw this.fail('a number');
    return this.value;
  }

  flag(): boolean {
    if (typeof this.value !== 'boolean') throw this.fail('true or false');
    return this.value;
  }

  list<T>(read: (item: Reader) => T): T[] {
    if (!Array.isArray(this.value)) throw this.fail('a list');
    return this.value.map((item, at) => read(new Reader(item, `${this.#path}[${at}]`)));
  }

  /** Every field of an object. */
  fields<T>(read: (item: Reader) => T): Record<string, T> {
    if (!isObject(this.value)) throw this.fail('an object');
    return Object.fromEntries(Object.keys(this.value).map((name) => [name, read(this.field(name))]));
  }

  oneOf<T extends string>(values: readonly T[]): T {
    const found = values.find((value) => value === this.value);
    if (found === undefined) throw this.fail(`one of ${values.join(', ')}`);
    return found;
  }

  parsed<T>(parse: (text: string) => T | undefined, what: string): T {
    const value = parse(this.text());
    if (value === undefined) throw this.fail(what);
    return value;
  }

  fail(wanted: string): FlannelError {
    const found = JSON.stringify(this.value)?.slice(0, 64) ?? 'nothing';
    return new FlannelError(
      'operator',
      `the agent's answer cannot be read: ${this.#path} is ${found}, not ${wanted}`,
      {
        cure: 'Use the flannelctl of the same version as the agent',
      },
    );
  }
}
