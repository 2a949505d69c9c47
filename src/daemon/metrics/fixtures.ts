/** A page in the text format of Prometheus, read strictly: every line must be one that the format knows. */
export interface MetricsPage {
  /** By name, without `_bucket`, `_sum`, `_count`. */
  readonly families: ReadonlyMap<string, { readonly type: string; readonly help: string }>;
  /** By name and labels as they stand, e.g. `flannel_repairs_total{kind="route"}`. */
  readonly samples: ReadonlyMap<string, number>;
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const VALUE = String.raw`"(?:[^"\\\n]|\\["\\n])*"`;
const LABEL = `[a-zA-Z_][a-zA-Z0-9_]*=${VALUE}`;
const NUMBER = String.raw`(?:[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?|NaN|[+-]Inf)`;
const SAMPLE = new RegExp(`^(${NAME})(\\{${LABEL}(?:,${LABEL})*\\})? (${NUMBER})$`);
const META = new RegExp(`^# (HELP|TYPE) (${NAME}) (.+)$`);

/**
 * Throws naming the line. Also what `promtool check metrics` complains about: counters end in `_total`, nothing else does;
 * a metric has one HELP, one TYPE and its samples behind them.
 */
export function parseMetrics(text: string): MetricsPage {
  const families = new Map<string, { type: string; help: string }>();
  const samples = new Map<string, number>();
  if (!text.endsWith('\n')) throw new Error('the page does not end with a newline');
  let current: { name: string; type: string; help: string } | undefined;
  for (const line of text.slice(0, -1).split('\n')) {
    const fail = (why: string) => new Error(`${JSON.stringify(line)}: ${why}`);
    const meta = META.exec(line);
    if (meta !== null) {
      const [, key, name = '', rest = ''] = meta;
      if (key === 'HELP') {
        if (families.has(name)) throw fail('a second HELP');
        current = { name, type: '', help: rest };
        families.set(name, current);
      } else {
        if (current?.name !== name || current.type !== '') throw fail('TYPE without its HELP');
        if (!['counter', 'gauge', 'histogram'].includes(rest)) throw fail('no such type');
        if ((rest === 'counter') !== name.endsWith('_total'))
          throw fail('counters, and only they, end in _total');
        current.type = rest;
      }
      continue;
    }
    const [, name = '', labels = '', number = ''] = SAMPLE.exec(line) ?? [];
    if (name === '') throw fail('neither a sample nor HELP nor TYPE');
    const suffix = current?.type === 'histogram' ? /^(_bucket|_sum|_count)$/ : /^$/;
    if (
      current === undefined ||
      !name.startsWith(current.name) ||
      !suffix.test(name.slice(current.name.length))
    )
      throw fail('not behind its TYPE');
    const key = name + labels;
    if (samples.has(key)) throw fail('twice');
    samples.set(key, Number(number.replace('Inf', 'Infinity')));
  }
  return { families, samples };
}
