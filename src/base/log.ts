import type { LogField } from './log-fields.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
/** `F`: the names that fields may have; those of the agent unless a program has words of its own. */
export type LogFields<F extends string = LogField> = Readonly<Partial<Record<F, unknown>>>;

/** A structured logger. Messages are short sentences in the present tense; values go into `fields`. */
export interface Logger<F extends string = LogField> {
  debug(message: string, fields?: LogFields<F>): void;
  info(message: string, fields?: LogFields<F>): void;
  warn(message: string, fields?: LogFields<F>): void;
  error(message: string, fields?: LogFields<F>): void;
  /** A logger that adds `fields` to every line. */
  with(fields: LogFields<F>): Logger<F>;
}

const ORDER: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 };

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: 'text' | 'json';
  /** Takes one line without its newline. */
  readonly write: (line: string) => void;
  readonly now: () => Date;
}

/** C0, DEL, C1, line separators, and the marks that turn the direction of text: all that a terminal acts on. */
const CONTROL = /[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** `text` without anything that a terminal acts on: such characters become `\\u001b` and the like. */
export function escapeControl(text: string): string {
  return text.replaceAll(CONTROL, (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** JSON of anything: errors as their message, bigints as text, cycles as what `String` makes of them. */
function toJson(value: unknown): string {
  const plain = (_key: string, each: unknown) => {
    if (each instanceof Error) return each.message;
    return typeof each === 'bigint' ? each.toString() : each;
  };
  try {
    return JSON.stringify(value, plain) ?? 'null';
  } catch {
    return JSON.stringify(String(value));
  }
}

/** A value as it stands in a text line: bare when harmless, else JSON. */
function textValue(value: unknown): string {
  if (typeof value === 'string') return /^[\w./:@%+,&-]+$/.test(value) ? value : JSON.stringify(value);
  if (value instanceof Error) return JSON.stringify(value.message);
  if (typeof value === 'object' && value !== null) {
    // An address says its text through toJSON; everything else stays JSON.
    const json = toJson(value);
    return json.startsWith('"') ? textValue(JSON.parse(json)) : json;
  }
  return String(value);
}

export function createLogger<F extends string = LogField>(
  options: LogOptions,
  bound?: LogFields<F>,
): Logger<F> {
  const at = (level: LogLevel) => (message: string, fields?: LogFields<F>) => {
    if (ORDER[level] < ORDER[options.level]) return;
    const all = { ...bound, ...fields };
    const time = options.now().toISOString();
    if (options.format === 'json') {
      const entries = Object.entries(all).filter(([, value]) => value !== undefined);
      const fields = entries.map(([key, value]) => `,${JSON.stringify(key)}:${toJson(value)}`).join('');
      const head = JSON.stringify({ time, level, msg: message }).slice(0, -1);
      options.write(escapeControl(`${head}${fields}}`));
      return;
    }
    const tail = Object.entries(all)
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => ` ${key}=${textValue(value)}`)
      .join('');
    const name = level.toUpperCase().padEnd(5);
    options.write(`${time} ${name} ${message.replaceAll(CONTROL, ' ')}${escapeControl(tail)}`);
  };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    with: (fields) => createLogger(options, { ...bound, ...fields }),
  };
}

/** Drops everything: for tests and for callers that report by themselves. */
export const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  with: () => silentLogger,
};
