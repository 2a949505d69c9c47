/** Numbers, times and quantities in the reader's language. All of it through Intl. */
export class Format {
  readonly locale: string;
  readonly #cache = new Map<string, Intl.NumberFormat>();
  readonly #clock: Intl.DateTimeFormat;
  readonly #moment: Intl.DateTimeFormat;
  readonly #day: Intl.DateTimeFormat;
  readonly #relative: Intl.RelativeTimeFormat;

  constructor(locale: string, timeZone?: string) {
    this.locale = locale;
    const zone = timeZone === undefined ? {} : { timeZone };
    const clock = { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' } as const;
    this.#clock = new Intl.DateTimeFormat(locale, { ...clock, ...zone });
    this.#moment = new Intl.DateTimeFormat(locale, {
      ...clock,
      ...zone,
      year: 'numeric',
      month: 'short',
      day: 'numeric',
    });
    this.#day = new Intl.DateTimeFormat(locale, { ...zone, month: 'long', day: 'numeric', weekday: 'long' });
    this.#relative = new Intl.RelativeTimeFormat(locale, { numeric: 'always', style: 'short' });
  }

  #number(options: Intl.NumberFormatOptions): Intl.NumberFormat {
    const key = JSON.stringify(options);
    let format = this.#cache.get(key);
    if (format === undefined) {
      format = new Intl.NumberFormat(this.locale, options);
      this.#cache.set(key, format);
    }
    return format;
  }

  count(value: number): string {
    return this.#number({ maximumFractionDigits: 0 }).format(value);
  }

  percent(share: number): string {
    return this.#number({ style: 'percent', maximumFractionDigits: share < 0.1 ? 1 : 0 }).format(share);
  }

  /** Bytes, in powers of 1,000 as interfaces are rated. */
  bytes(value: number): string {
    return this.#quantity(value, ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte', 'petabyte']);
  }

  /** Bytes per second as bits per second, as links are rated. */
  rate(bytesPerSecond: number): string {
    const units = ['bit', 'kilobit', 'megabit', 'gigabit', 'terabit'];
    return this.#quantity(
      bytesPerSecond * 8,
      units.map((unit) => `${unit}-per-second`),
    );
  }

  #quantity(value: number, units: readonly string[]): string {
    let power = 0;
    let rest = value;
    // 999.5 would be rounded up to four digits.
    while (rest >= 999.5 && power < units.length - 1) {
      rest /= 1000;
      power += 1;
    }
    const digits = power === 0 || rest >= 99.95 ? 0 : rest >= 9.995 ? 1 : 2;
    return this.#number({
      style: 'unit',
      unit: units[power] ?? 'byte',
      unitDisplay: 'short',
      maximumFractionDigits: digits,
    }).format(rest);
  }

  /** Packets per second. */
  perSecond(value: number): string {
    return this.#number({ maximumFractionDigits: value < 10 ? 1 : 0 }).format(value);
  }

  /** A short time in ms. */
  ms(value: number): string {
    const [unit, rest] =
      value >= 1000 ? (['second', value / 1000] as const) : (['millisecond', value] as const);
    const maximumFractionDigits = rest < 1 ? 3 : rest < 10 ? 2 : rest < 100 ? 1 : 0;
    return this.#number({ style: 'unit', unit, unitDisplay: 'short', maximumFractionDigits }).format(rest);
  }

  /** A long time in ms, by its two largest units. */
  duration(ms: number): string {
    const seconds = Math.max(0, Math.floor(ms / 1000));
    const parts: readonly [string, number][] = [
      ['day', Math.floor(seconds / 86_400)],
      ['hour', Math.floor(seconds / 3600) % 24],
      ['minute', Math.floor(seconds / 60) % 60],
      ['second', seconds % 60],
    ];
    const first = parts.findIndex(([, value]) => value > 0);
    const shown = parts.slice(first < 0 ? 3 : first).slice(0, 2);
    return shown
      .map(([unit, value]) => this.#number({ style: 'unit', unit, unitDisplay: 'narrow' }).format(value))
      .join(' ');
  }

  /** How long before now, by its largest unit. */
  ago(ms: number): string {
    const seconds = Math.max(0, Math.round(ms / 1000));
    if (seconds < 90) return this.#relative.format(-seconds, 'second');
    if (seconds < 90 * 60) return this.#relative.format(-Math.round(seconds / 60), 'minute');
    if (seconds < 36 * 3600) return this.#relative.format(-Math.round(seconds / 3600), 'hour');
    return this.#relative.format(-Math.round(seconds / 86_400), 'day');
  }

  clock(at: number): string {
    return safely(this.#clock, at);
  }

  moment(at: number): string {
    return safely(this.#moment, at);
  }

  day(at: number): string {
    return safely(this.#day, at);
  }
}

/** Intl throws for a time that no date can hold, and the time came from elsewhere. */
function safely(format: Intl.DateTimeFormat, at: number): string {
  return Math.abs(at) <= 8.64e15 ? format.format(at) : '–';
}
