/** A column of a printed table. */
export interface Column {
  readonly title: string;
  /** Numbers read better to the right. */
  readonly align?: 'left' | 'right';
}

/** Columns a text takes on a terminal, where escape sequences take none. */
export function width(text: string): number {
  return Bun.stringWidth(text);
}

/**
 * Lines of a table, two blanks between columns, nothing behind the last. A cell with newlines takes several lines, the
 * other cells of its row stay blank there.
 */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const cells = rows.map((row) => columns.map((_, at) => (row[at] ?? '').split('\n')));
  const widths = columns.map((column, at) =>
    Math.max(width(column.title), ...cells.flatMap((row) => (row[at] ?? []).map(width))),
  );
  const line = (parts: readonly string[]) =>
    columns
      .map((column, at) => {
        const text = parts[at] ?? '';
        const blank = ' '.repeat(Math.max(0, (widths[at] ?? 0) - width(text)));
        return column.align === 'right' ? blank + text : text + blank;
      })
      .join('  ')
      .trimEnd();
  const head = line(columns.map((column) => column.title));
  const body = cells.flatMap((row) => {
    const height = Math.max(...row.map((cell) => cell.length));
    return Array.from({ length: height }, (_, at) => line(row.map((cell) => cell[at] ?? '')));
  });
  return [head, ...body];
}
