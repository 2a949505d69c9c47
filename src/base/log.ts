export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type LogFields = Readonly<Record<string, unknown>>;

/** A structured logger. Messages are short sentences in the present tense; values go into `fields`. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A logger that adds `fields` to every line. */
  with(fields: LogFields): Logger;
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

function escapeControl(text: string): string {
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

export function createLogger(options: LogOptions, bound: LogFields = {}): Logger {
  const at = (level: LogLevel) => (message: string, fields?: LogFields) => {
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
