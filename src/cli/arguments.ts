import { ConfigError } from '#base/errors.ts';
import { nearest } from '#subnet/nearest.ts';

/** Flags of a command with their defaults; a flag whose default is `false` takes no value. */
export type Words = Readonly<Record<string, string | false>>;

/** What was given: texts as texts, switches as booleans. */
export type Given<T extends Words> = { readonly [K in keyof T]: T[K] extends string ? string : boolean };

/** `--flag value`, `--flag=value`, bare switches. Throws ConfigError naming the flag and the nearest known one. */
export function parseArguments<T extends Words>(
  command: string,
  args: readonly string[],
  words: T,
): Given<T> | 'help' {
  const values: Record<string, string | boolean> = { ...words };
  for (let at = 0; at < args.length; at += 1) {
    const argument = args[at] ?? '';
    const [, name, joined] = /^--?([a-z][a-z-]*)(?:=([\s\S]*))?$/.exec(argument) ?? [];
    if (name === 'help' || name === 'h') return 'help';
    if (name === undefined || !Object.hasOwn(words, name))
      throw unknown(command, argument, Object.keys(words));
    if (words[name] === false) {
      if (joined !== undefined && joined !== 'true' && joined !== 'false')
        throw new ConfigError(
          `--${name}`,
          `${JSON.stringify(joined.slice(0, 64))} is neither true nor false`,
        );
      values[name] = joined !== 'false';
      continue;
    }
    if (joined === undefined) at += 1;
    const value = joined ?? args[at];
    if (value === undefined || value === '') throw new ConfigError(`--${name}`, 'needs a value');
    values[name] = value;
  }
  return values as Given<T>;
}

/** Takes the words apart that are no flags and no values of flags; what follows `--` is none either. */
export function splitPositionals(
  args: readonly string[],
  words: Words,
): { readonly positionals: readonly string[]; readonly rest: readonly string[] } {
  const positionals: string[] = [];
  const rest: string[] = [];
  for (let at = 0; at < args.length; at += 1) {
    const argument = args[at] ?? '';
    if (argument === '--') return { positionals: [...positionals, ...args.slice(at + 1)], rest };
    if (!argument.startsWith('-')) {
      positionals.push(argument);
      continue;
    }
    rest.push(argument);
    const name = argument.replace(/^--?/, '');
    const takesValue = Object.hasOwn(words, name) && words[name] !== false;
    if (takesValue && at + 1 < args.length) rest.push(args[(at += 1)] ?? '');
  }
  return { positionals, rest };
}

function unknown(command: string, argument: string, known: readonly string[]): ConfigError {
  if (!argument.startsWith('-'))
    return new ConfigError(command, `${JSON.stringify(argument.slice(0, 64))} is one word too many`, {
      cure: `flannelctl ${command} --help says what it takes`,
    });
  const near = nearest(argument.replace(/^--?/, '').replace(/=.*/s, ''), known);
  const hint = near === undefined ? '' : `; did you mean --${near}?`;
  return new ConfigError(command, `${JSON.stringify(argument.slice(0, 64))} is not one of its flags${hint}`, {
    cure: `flannelctl ${command} --help lists them`,
  });
}
