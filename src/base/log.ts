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

/** A value as it stands in a text line: bare when harmless, else JSON (which also neutralises control characters). */
function textValue(value: unknown): string {
  if (typeof value === 'string') return /^[\w./:@%+,&-]+$/.test(value) ? value : JSON.stringify(value);
  if (value instanceof Error) return JSON.stringify(value.message);
  if (typeof value === 'object' && value !== null) {
    // An address says its text through toJSON; everything else stays JSON.
    const json = JSON.stringify(value);
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
      const safe = Object.fromEntries(
        Object.entries(all).map(([key, value]) => [key, value instanceof Error ? value.message : value]),
      );
      options.write(JSON.stringify({ time, level, msg: message, ...safe }));
      return;
    }
    const tail = Object.entries(all)
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => ` ${key}=${textValue(value)}`)
      .join('');
    options.write(
      `${time} ${level.toUpperCase().padEnd(5)} ${message.replaceAll(/[\x00-\x1f\x7f]/g, ' ')}${tail}`,
    );
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
