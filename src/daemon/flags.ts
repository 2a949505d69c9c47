import { ConfigError } from '#base/errors.ts';
import { nearest } from '#subnet/nearest.ts';
import { FLAGS, type FlagName, type FlagSpec, type FlagValues } from './flag-table.ts';

/** Go's strconv.ParseBool. */
const BOOLEANS: Readonly<Record<string, boolean>> = {
  '1': true,
  t: true,
  T: true,
  true: true,
  TRUE: true,
  True: true,
  '0': false,
  f: false,
  F: false,
  false: false,
  FALSE: false,
  False: false,
};

const ENV_PREFIX = 'FLANNELD_';

/** `FLANNELD_` + the flag in upper case with underscores. */
export function envName(flag: string): string {
  return `${ENV_PREFIX}${flag.toUpperCase().replaceAll('-', '_')}`;
}

export interface ParsedFlags {
  readonly values: FlagValues;
  /** Flags given on the command line or by the environment. */
  readonly given: ReadonlySet<string>;
  readonly help: boolean;
  readonly version: boolean;
  readonly warnings: readonly string[];
}

/**
 * Parses Go-style flags (one dash or two, `--flag=value` or `--flag value`, a bare boolean is true) and then the
 * environment for those not given. Throws ConfigError naming the flag and the nearest known one.
 */
export function parseFlags(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): ParsedFlags {
  const values: Record<string, unknown> = {};
  const given = new Set<string>();
  for (const [name, spec] of Object.entries(FLAGS)) values[name] = spec.fallback;
  const set = (name: string, text: string, source: string) => {
    const spec = specOf(name, source);
    const value = parseValue(spec, text, source);
    const before = values[name];
    if (spec.kind === 'list' && given.has(name) && Array.isArray(before)) values[name] = [...before, text];
    else values[name] = value;
    given.add(name);
  };
  let help = false;
  for (let at = 0; at < args.length; at += 1) {
    const argument = args[at] ?? '';
    const match = /^--?([^-=][^=]*)(?:=([\s\S]*))?$/.exec(argument);
    if (match?.[1] === undefined) {
      if (argument === '--' && at === args.length - 1) break;
      const before = args[at - 1] ?? '';
      const shown = /password/.test(before)
        ? `behind ${before.replace(/=.*/s, '')}`
        : JSON.stringify(argument);
      throw new ConfigError('command line', `unexpected argument ${shown}`, {
        cure: 'Booleans take their value with "=", e.g. --ip-masq=false; see flanneld --help',
      });
    }
    const name = match[1];
    if (name === 'help' || name === 'h') {
      help = true;
      continue;
    }
    const spec = specOf(name, `--${name}`);
    let text = match[2];
    if (text === undefined && spec.kind === 'boolean') text = 'true';
    if (text === undefined) {
      at += 1;
      text = args[at];
      if (text === undefined) throw new ConfigError(`--${name}`, `needs a value (${spec.value})`);
    }
    set(name, text, `--${name}`);
  }
  const warnings = fromEnvironment(env, given, set);
  return { values: values as FlagValues, given, help, version: values['version'] === true, warnings };
}

function fromEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  given: ReadonlySet<string>,
  set: (name: string, text: string, source: string) => void,
): string[] {
  const known = new Map(Object.keys(FLAGS).map((name) => [envName(name), name]));
  const onCommandLine = new Set(given);
  const warnings: string[] = [];
  for (const [key, text] of Object.entries(env)) {
    if (!key.startsWith(ENV_PREFIX) || text === undefined) continue;
    const name = known.get(key);
    if (name === undefined) {
      const near = nearest(key, [...known.keys()]);
      warnings.push(
        `environment variable ${key} is no flag${near === undefined ? '' : `; the nearest is ${near}`}`,
      );
    } else if (!onCommandLine.has(name) && text !== '') {
      // A comma is in no name and no address; in a regular expression it may be.
      for (const value of name === 'iface' ? text.split(',') : [text]) set(name, value.trim(), key);
    }
  }
  return warnings;
}

function specOf(name: string, source: string): FlagSpec {
  if (Object.hasOwn(FLAGS, name)) return FLAGS[name as FlagName];
  const near = nearest(name, Object.keys(FLAGS));
  throw new ConfigError(source, 'no such flag', {
    cure: near === undefined ? 'See flanneld --help' : `The nearest is --${near}; see flanneld --help`,
  });
}

function parseValue(spec: FlagSpec, text: string, source: string): unknown {
  switch (spec.kind) {
    case 'string':
      return text;
    case 'list':
      return [text];
    case 'boolean': {
      const value = Object.hasOwn(BOOLEANS, text) ? BOOLEANS[text] : undefined;
      if (value === undefined)
        throw new ConfigError(source, `${JSON.stringify(text)} is not a boolean (true or false)`);
      return value;
    }
    case 'integer': {
      const value = /^-?\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
      const { min, max } = spec;
      if (Number.isNaN(value) || value < min || value > max) {
        throw new ConfigError(source, `${JSON.stringify(text)} is not a whole number from ${min} to ${max}`);
      }
      return value;
    }
  }
}
