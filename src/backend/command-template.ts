import { ConfigError } from '#base/errors.ts';

/** A piece of a word: text as it stands, or the value of a variable. */
type Piece = { readonly text: string } | { readonly variable: string };

/** An operator's command line, split once into words; no shell ever sees it. */
export interface CommandTemplate {
  readonly words: readonly (readonly Piece[])[];
}

export interface TemplateOptions {
  /** Where the text stands, for messages, e.g. `net-conf.json: Backend.SubnetAddCommand`. */
  readonly path: string;
  /** The variables that the command gets. */
  readonly variables: readonly string[];
}

/** What a shell would do something about outside of quotes, and we do not. */
const SHELL = /[;|&<>()`\n\r*?[\]]/;
const NAME = /^(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))/;
/** Inside double quotes a backslash stands for itself before anything else (POSIX.1-2017, shell, 2.2.3). */
const ESCAPED = '$`"\\';
const CURE = 'Put the commands into a script and name the script here';

/**
 * Splits a command into words as a shell would: blanks, single and double quotes, backslash, `$NAME` and `${NAME}`. Throws
 * ConfigError for everything else that a shell would act on, and for variables that the command does not get.
 */
export function parseCommand(text: string, options: TemplateOptions): CommandTemplate {
  const words = new Splitter(text, options).split();
  const [first] = words;
  if (first === undefined) throw new ConfigError(options.path, 'is empty', { cure: 'Leave the key out' });
  const [head] = first;
  if (head !== undefined && 'text' in head && /^[A-Za-z_][A-Za-z0-9_]*=/.test(head.text))
    throw new ConfigError(options.path, `${show(head.text)} is an assignment of a shell`, { cure: CURE });
  return { words };
}

/** The words with the values put in. A string names the first variable that has no value. */
export function expandCommand(
  template: CommandTemplate,
  values: Readonly<Record<string, string>>,
): readonly string[] | string {
  const argv: string[] = [];
  for (const word of template.words) {
    let text = '';
    for (const piece of word) {
      const value = 'text' in piece ? piece.text : values[piece.variable];
      if (value === undefined) return 'variable' in piece ? piece.variable : '';
      text += value;
    }
    argv.push(text);
  }
  return argv;
}

class Splitter {
  readonly #text: string;
  readonly #options: TemplateOptions;
  readonly #words: (readonly Piece[])[] = [];
  #at = 0;
  /** The word that is being read; undefined between words. */
  #word: Piece[] | undefined;

  constructor(text: string, options: TemplateOptions) {
    this.#text = text;
    this.#options = options;
  }

  split(): readonly (readonly Piece[])[] {
    for (let char = this.#next(); char !== undefined; char = this.#next()) this.#unquoted(char);
    this.#endWord();
    return this.#words;
  }

  #next(): string | undefined {
    const char = this.#text[this.#at];
    if (char === '\0') throw this.#wrong('a NUL character');
    this.#at += 1;
    return char;
  }

  #unquoted(char: string): void {
    if (char === ' ' || char === '\t') this.#endWord();
    else if (char === "'") this.#singleQuoted();
    else if (char === '"') this.#doubleQuoted();
    else if (char === '\\') this.#add(this.#next() ?? this.#fail('a backslash at its end'));
    else if (char === '$') this.#variable();
    else if (SHELL.test(char)) throw this.#wrong(`${show(char)} outside of quotes`);
    else if ((char === '#' || char === '~') && this.#word === undefined)
      throw this.#wrong(`${show(char)} at the beginning of a word`);
    else this.#add(char);
  }

  #singleQuoted(): void {
    const end = this.#text.indexOf("'", this.#at);
    if (end < 0) throw this.#wrong('a quote without its end');
    this.#add(this.#text.slice(this.#at, end));
    this.#at = end + 1;
  }

  #doubleQuoted(): void {
    this.#add('');
    for (let char = this.#next(); char !== '"'; char = this.#next()) {
      if (char === undefined) throw this.#wrong('a quote without its end');
      if (char === '$') this.#variable();
      else if (char === '`') throw this.#wrong('"`"');
      else if (char === '\\') {
        const next = this.#next() ?? this.#fail('a quote without its end');
        this.#add(ESCAPED.includes(next) ? next : `\\${next}`);
      } else this.#add(char);
    }
  }

  #variable(): void {
    const match = NAME.exec(this.#text.slice(this.#at));
    const variable = match?.[1] ?? match?.[2];
    if (match === null || variable === undefined)
      throw this.#wrong('"$" that is not followed by the name of a variable');
    const { variables, path } = this.#options;
    if (!variables.includes(variable)) {
      const known = variables.length === 0 ? 'it gets none' : `it gets ${variables.join(', ')}`;
      throw new ConfigError(path, `the command does not get $${variable}; ${known}`, { cure: CURE });
    }
    this.#at += match[0].length;
    (this.#word ??= []).push({ variable });
  }

  #add(text: string): void {
    const word = (this.#word ??= []);
    const last = word.at(-1);
    if (last !== undefined && 'text' in last) word[word.length - 1] = { text: last.text + text };
    else word.push({ text });
  }

  #endWord(): void {
    if (this.#word !== undefined) this.#words.push(this.#word);
    this.#word = undefined;
  }

  #fail(what: string): never {
    throw this.#wrong(what);
  }

  #wrong(what: string): ConfigError {
    return new ConfigError(this.#options.path, `has ${what}; commands are run without a shell`, {
      cure: CURE,
    });
  }
}

function show(text: string): string {
  return JSON.stringify(text.length > 32 ? `${text.slice(0, 32)}…` : text);
}
