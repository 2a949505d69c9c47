import { ConfigError, describe } from '#base/errors.ts';

/** A credential, inline or in a file. It never shows itself in text or JSON. */
export class Secret {
  readonly #value: string | undefined;
  /** The file it stands in; undefined when inline. */
  readonly path: string | undefined;

  private constructor(value: string | undefined, path: string | undefined) {
    this.#value = value;
    this.path = path;
  }

  static inline(value: string): Secret {
    return new Secret(value, undefined);
  }

  static file(path: string): Secret {
    return new Secret(undefined, path);
  }

  /** The text, read anew when it stands in a file. Throws ConfigError naming the file. */
  async read(readFile: ReadFile): Promise<string> {
    if (this.path === undefined) return this.#value ?? '';
    try {
      return await readFile(this.path);
    } catch (error) {
      throw new ConfigError(this.path, `cannot be read: ${describe(error)}`);
    }
  }

  toString(): string {
    return this.path ?? '[secret]';
  }

  toJSON(): string {
    return this.toString();
  }
}

/** Reads a whole text file. */
export type ReadFile = (path: string) => Promise<string>;

/** The default: the real file system. */
export const readTextFile: ReadFile = (path) => Bun.file(path).text();

/** `text` of a server, which may repeat what it was sent, without `secrets`. */
export function conceal(text: string, secrets: readonly (string | undefined)[]): string {
  let shown = text;
  for (const secret of secrets)
    if (secret !== undefined && secret !== '') shown = shown.replaceAll(secret, '[secret]');
  return shown;
}
