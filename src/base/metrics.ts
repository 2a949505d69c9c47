/**
 * Metrics in the text format of Prometheus, version 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/): counters are counted when something happens, everything else
 * is read when somebody asks.
 */

export const METRICS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export type Labels<L extends string = string> = Readonly<Record<L, string>>;
export type Sample = readonly [labels: Labels, value: number];

interface Description {
  /** With the unit as its last part but one, in base units: seconds, bytes. */
  readonly name: string;
  /** One sentence. */
  readonly help: string;
}

export interface CounterOptions<L extends string> extends Description {
  /** Label sets that are shown as 0 before anything happens, so that a rate has a beginning. */
  readonly start?: readonly Labels<L>[];
}

export interface ReadOptions extends Description {
  readonly type: 'gauge' | 'counter';
  /** Asked at each scrape; a number stands for one sample without labels, undefined for none. Must not throw. */
  readonly read: () => number | Iterable<Sample> | undefined;
}

export interface HistogramOptions extends Description {
  /** Upper bounds, ascending, without +Inf. */
  readonly buckets: readonly number[];
}

interface Family extends Description {
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** What follows the name: suffix, labels, value. */
  readonly samples: () => Iterable<readonly [suffix: string, labels: Labels, value: number]>;
}

/** Only goes up. */
export class Counter<L extends string> {
  readonly #series = new Map<string, { readonly labels: Labels<L>; value: number }>();

  constructor(start: readonly Labels<L>[] = []) {
    for (const labels of start) this.add(labels, 0);
  }

  /** `amount` of at least 0. */
  add(labels: Labels<L>, amount = 1): void {
    const key = JSON.stringify(Object.values(labels));
    const series = this.#series.get(key);
    if (series === undefined) this.#series.set(key, { labels, value: amount });
    else series.value += amount;
  }

  *read(): Generator<Sample> {
    for (const { labels, value } of this.#series.values()) yield [labels, value];
  }
}

/** How often a value was at most so large. */
export class Histogram {
  readonly #bounds: readonly number[];
  readonly #counts: number[];
  #sum = 0;
  #count = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = bounds.map(() => 0);
  }

  observe(value: number): void {
    this.#sum += value;
    this.#count += 1;
    const at = this.#bounds.findIndex((bound) => value <= bound);
    if (at >= 0) this.#counts[at] = (this.#counts[at] ?? 0) + 1;
  }

  *read(): Generator<readonly [suffix: string, labels: Labels, value: number]> {
    let sum = 0;
    for (const [at, bound] of this.#bounds.entries()) {
      sum += this.#counts[at] ?? 0;
      yield ['_bucket', { le: number(bound) }, sum];
    }
    yield ['_bucket', { le: '+Inf' }, this.#count];
    yield ['_sum', {}, this.#sum];
    yield ['_count', {}, this.#count];
  }
}

/** The metrics of one process, in the order of their declaration. */
export class Registry {
  readonly #families = new Map<string, Family>();

  counter<L extends string = never>(options: CounterOptions<L>): Counter<L> {
    const counter = new Counter<L>(options.start);
    this.#add({ ...options, type: 'counter', samples: () => plain(counter.read()) });
    return counter;
  }

  histogram(options: HistogramOptions): Histogram {
    const histogram = new Histogram(options.buckets);
    this.#add({ ...options, type: 'histogram', samples: () => histogram.read() });
    return histogram;
  }

  /** A value that is known elsewhere. */
  read(options: ReadOptions): void {
    const samples = () => {
      const value = options.read();
      return plain(typeof value === 'number' ? [[{}, value]] : (value ?? []));
    };
    this.#add({ ...options, samples });
  }

  /** Names and help of all metrics. */
  list(): readonly { readonly name: string; readonly type: string; readonly help: string }[] {
    return [...this.#families.values()].map(({ name, type, help }) => ({ name, type, help }));
  }

  /** The whole page; a metric without samples is left out. */
  render(): string {
    let text = '';
    for (const { name, help, type, samples } of this.#families.values()) {
      let lines = '';
      for (const [suffix, labels, value] of samples())
        lines += `${name}${suffix}${labelText(labels)} ${number(value)}\n`;
      if (lines !== '') text += `# HELP ${name} ${escape(help)}\n# TYPE ${name} ${type}\n${lines}`;
    }
    return text;
  }

  #add(family: Family): void {
    if (this.#families.has(family.name)) throw new TypeError(`metric ${family.name} is declared twice`);
    if (!/^[a-z_][a-z0-9_]*$/.test(family.name)) throw new TypeError(`${family.name} is no name of a metric`);
    this.#families.set(family.name, family);
  }
}

function* plain(samples: Iterable<Sample>): Generator<readonly [string, Labels, number]> {
  for (const [labels, value] of samples) yield ['', labels, value];
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(
    ([key, value]) => `${key}="${escape(value).replaceAll('"', '\\"')}"`,
  );
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

/** Backslash and newline, as help texts and label values want them. */
function escape(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

/** As Go's strconv.ParseFloat reads it. */
function number(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  return value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value);
}
