// The tables of docs/configuration.md that repeat what the program knows, made from what it knows.
import { BACKENDS } from '#backend/create.ts';
import { FLAGS, type FlagSpec } from '#daemon/flag-table.ts';
import type { OptionSpec } from '#subnet/backend-options.ts';
import { NETWORK_KEYS } from '#subnet/config.ts';

/** The tables by the name that stands in their marker. Markdown, without a line break at the end. */
export function referenceTables(): ReadonlyMap<string, string> {
  const tables = new Map([['net-conf', networkTable()]]);
  for (const [type, { options }] of BACKENDS) {
    const specs = Object.entries(options);
    if (specs.length > 0) tables.set(`backend ${type}`, optionTable(specs));
  }
  tables.set('flags', flagTables());
  return tables;
}

const MARK = /^(<!-- generated: (.+?) -->\n)[\s\S]*?^(<!-- end -->)$/gm;

/**
 * `page` with the text between `<!-- generated: NAME -->` and `<!-- end -->` made anew. Throws for a table that the page has no
 * place for, and for a place that no table is for.
 */
export function withTables(page: string, tables: ReadonlyMap<string, string>): string {
  const missing = new Set(tables.keys());
  const text = page.replaceAll(MARK, (_, start: string, name: string, end: string) => {
    const table = tables.get(name);
    if (table === undefined) throw new Error(`there is no table for "${name}"`);
    missing.delete(name);
    return `${start}\n${table}\n\n${end}`;
  });
  if (missing.size > 0) throw new Error(`no markers for ${[...missing].join(', ')}`);
  return text;
}

function networkTable(): string {
  const rows = Object.entries(NETWORK_KEYS).map(([key, { fallback, help }]) => [
    `\`${key}\``,
    fallback,
    help,
  ]);
  return markdown(['key', 'default', 'meaning'], rows);
}

function optionTable(options: readonly (readonly [string, OptionSpec])[]): string {
  const rows = options.map(([key, spec]) => {
    const fallback = spec.fallback === undefined ? '' : `\`${spec.fallback}\``;
    return [`\`${key}\``, optionValue(spec), fallback, spec.help];
  });
  return markdown(['key', 'value', 'default', 'meaning'], rows);
}

function optionValue(spec: OptionSpec): string {
  switch (spec.kind) {
    case 'boolean':
      return '`true`, `false`';
    case 'integer':
      return `${spec.min} to ${spec.max}`;
    case 'string':
      return spec.allowed?.map((value) => `\`${value}\``).join(', ') ?? 'text';
  }
}

/** A table for each group of flags. */
function flagTables(): string {
  const groups = Map.groupBy(Object.entries<FlagSpec>(FLAGS), ([, { group }]) => group);
  return [...groups]
    .map(([group, flags]) => {
      const rows = flags.map(([name, spec]) => [
        `\`--${name}\``,
        flagFallback(name, spec),
        flagValue(spec),
        marked(spec.help),
      ]);
      return `### ${group}\n\n${markdown(['flag', 'default', 'value', 'meaning'], rows)}`;
    })
    .join('\n\n');
}

function flagFallback(name: string, { kind, fallback }: FlagSpec): string {
  return kind === 'list' || fallback === '' || name === 'version' ? '' : `\`${String(fallback)}\``;
}

function flagValue(spec: FlagSpec): string {
  if (spec.kind === 'integer') return `${spec.min} to ${spec.max}`;
  const several = spec.kind === 'list' ? ', repeatable' : '';
  const words = spec.value.split('|');
  return words.length > 1 ? words.map((word) => `\`${word}\``).join(', ') : `${spec.value}${several}`;
}

/** What the help of the program says, with paths, flags and variables as code: it is plain text there. */
function marked(help: string): string {
  const code = /(?<![\w<`])(--[a-z][\w-]*|\/\w+|[A-Z]+(?:_[A-Z]+)+|[\w-]+\.json|\w+=\w+|flanneld v<\w+>)/g;
  return help.replaceAll(code, '`$1`');
}

function markdown(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  const lines = [line(head), `|${head.map(() => '---').join('|')}|`, ...rows.map(line)];
  return lines.map((text) => text.replaceAll('  ', ' ')).join('\n');
}
