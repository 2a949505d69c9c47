import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import type { PeerFacts } from '#backend/backend.ts';

/** Changes of thousands of peers become a few writes, ms. */
const DELAY = 200;

/**
 * For which peers an add command has succeeded, beside `subnet.env`: a later run then knows whom to remove. It lives in
 * /run, as long as what the commands made.
 */
export class AppliedFacts implements Disposable {
  readonly #path: string;
  readonly #log: Logger;
  readonly #facts: Map<string, PeerFacts>;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #complaint = '';

  constructor(path: string, log: Logger) {
    this.#path = path;
    this.#log = log;
    this.#facts = read(path);
  }

  names(): readonly string[] {
    return [...this.#facts.keys()];
  }

  get(name: string): PeerFacts | undefined {
    return this.#facts.get(name);
  }

  set(name: string, facts: PeerFacts | undefined): void {
    if (facts === undefined) this.#facts.delete(name);
    else this.#facts.set(name, facts);
    this.#timer ??= setTimeout(() => this.#save(), DELAY);
  }

  [Symbol.dispose](): void {
    if (this.#timer !== undefined) this.#save();
  }

  #save(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const lines = [...this.#facts].map(([name, { values, stdin }]) => JSON.stringify([name, values, stdin]));
    try {
      mkdirSync(dirname(this.#path), { recursive: true });
      const temporary = `${this.#path}.tmp`;
      writeFileSync(temporary, lines.map((line) => `${line}\n`).join(''), { mode: 0o600 });
      renameSync(temporary, this.#path);
      this.#complaint = '';
    } catch (error) {
      const text = describe(error);
      if (text !== this.#complaint)
        this.#log.warn('peers of commands cannot be written down; after a restart stale ones may stay', {
          error: text,
        });
      this.#complaint = text;
    }
  }
}

function read(path: string): Map<string, PeerFacts> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return new Map();
  }
  return new Map(text.split('\n').flatMap((line) => parseLine(line) ?? []));
}

/** A damaged line is skipped. */
function parseLine(line: string): [[string, PeerFacts]] | undefined {
  let data: unknown;
  try {
    data = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (!Array.isArray(data)) return undefined;
  const [name, values, stdin]: unknown[] = data;
  if (typeof name !== 'string' || typeof stdin !== 'string' || typeof values !== 'object' || values === null)
    return undefined;
  const entries = Object.entries(values).flatMap(([key, value]: [string, unknown]): [string, string][] =>
    /^[A-Z0-9_]+$/.test(key) && typeof value === 'string' && isAddress(value) ? [[key, value]] : [],
  );
  return [[name, { values: Object.fromEntries(entries), stdin }]];
}

function isAddress(text: string): boolean {
  return Cidr.tryParse(text) !== undefined || Ip.tryParse(text) !== undefined;
}
