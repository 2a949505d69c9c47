import type { Screen } from '../report/screen.ts';

export interface StepRow {
  readonly node: string;
  readonly what: string;
  /** What became different; expected: nothing. */
  readonly changes: readonly string[];
  readonly sent: number;
  readonly lost: number;
}

/** Changes of one step that are shown. */
const SHOWN = 6;
const WIDTHS = { node: 5, what: 46, changes: 18, sent: 6, lost: 4 } as const;

/** A table that grows while things happen: its columns are as wide as they need to be for the lab's own words. */
export class StepTable {
  readonly #screen: Screen;
  #count = 0;
  #failed = 0;

  constructor(screen: Screen) {
    this.#screen = screen;
  }

  get count(): number {
    return this.#count;
  }

  /** Steps with a change or a loss. */
  get failed(): number {
    return this.#failed;
  }

  head(): void {
    this.#screen.line(line(['node', 'step', 'changed', 'sent', 'lost']));
  }

  row({ node, what, changes, sent, lost }: StepRow): void {
    const ok = changes.length === 0 && lost === 0;
    this.#count += 1;
    if (!ok) this.#failed += 1;
    const changed = changes.length === 0 ? 'nothing' : `${changes.length}, see below`;
    const text = line([node, what, changed, String(sent), String(lost)]);
    this.#screen.line(ok ? text : this.#screen.paint('red', text));
    for (const change of changes.slice(0, SHOWN)) this.#screen.line(`       ${change}`);
    if (changes.length > SHOWN) this.#screen.line(`       and ${changes.length - SHOWN} more`);
  }
}

function line(cells: readonly [string, string, string, string, string]): string {
  const [node, what, changes, sent, lost] = cells;
  const words = [node.padEnd(WIDTHS.node), what.padEnd(WIDTHS.what), changes.padEnd(WIDTHS.changes)];
  return [...words, sent.padStart(WIDTHS.sent), lost.padStart(WIDTHS.lost)].join('  ');
}
