/** Minimum, median and 95th percentile of a sample. */
export interface Summary {
  readonly min: number;
  readonly median: number;
  readonly p95: number;
}

export function summarise(sample: readonly number[]): Summary {
  const sorted = [...sample].sort((a, b) => a - b);
  const at = (share: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
  return { min: sorted[0] ?? Number.NaN, median: at(0.5), p95: at(0.95) };
}

/** Prints rows as aligned columns; the first row is the head. */
export function printTable(rows: readonly (readonly string[])[]): void {
  const widths: number[] = [];
  for (const row of rows)
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  for (const [line, row] of rows.entries()) {
    console.log(
      row
        .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
        .join('  '),
    );
    if (line === 0) console.log(widths.map((width) => '-'.repeat(width)).join('  '));
  }
  console.log('');
}

export function ms(value: number): string {
  return value.toFixed(value < 10 ? 2 : 1);
}

/** Runs a program to its end and throws with its own words when it fails. */
export function must(argv: readonly string[]): string {
  const done = Bun.spawnSync([...argv], { stdout: 'pipe', stderr: 'pipe' });
  if (done.exitCode !== 0)
    throw new Error(`${argv.join(' ')}: ${done.stderr.toString()}${done.stdout.toString()}`);
  return done.stdout.toString();
}
