/** One table of `iptables-save`: chains by name in its order; a rule is its line without `-A <chain> `. */
export type SavedTable = ReadonlyMap<string, readonly string[]>;

/** Tables by name. */
export type SavedTables = ReadonlyMap<string, SavedTable>;

/**
 * Reads the output of `iptables-save` or `ip6tables-save`. Rules stay text: only whole lines are ever compared or handed
 * back. Lines of no known form are passed over (comments, tables that iptables-nft cannot show).
 */
export function parseSave(output: string): SavedTables {
  const tables = new Map<string, Map<string, string[]>>();
  let table = new Map<string, string[]>();
  for (const line of output.split('\n')) {
    const [, mark, name = '', rest = ''] = /^(\*|:|-A )(\S+) ?(.*)$/.exec(line) ?? [];
    if (mark === '*') {
      table = new Map();
      tables.set(name, table);
    } else if (mark === ':') table.set(name, table.get(name) ?? []);
    else if (mark === '-A ') {
      const rules = table.get(name);
      if (rules === undefined) table.set(name, [rest]);
      else rules.push(rest);
    }
  }
  return tables;
}
