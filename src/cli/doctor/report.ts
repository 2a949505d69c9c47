import { escapeControl } from '#base/log.ts';
import type { Colour, Screen } from '#lab/report/screen.ts';
import { worst, type Examined } from './examine.ts';
import type { Finding, Severity } from './finding.ts';

const SCHEMA = 1;

/** For programs (docs/doctor.md). */
export function reportJson(examined: readonly Examined[]): string {
  return `${JSON.stringify({ schema: SCHEMA, severity: worst(examined), checks: examined }, null, 2)}\n`;
}

const COLOURS: Readonly<Record<Severity, Colour>> = {
  ok: 'green',
  info: 'cyan',
  warning: 'yellow',
  error: 'red',
};
/** Columns of the severity, and of the longest id. */
const FIRST = 9;
const SECOND = 17;

/** For people: what is wrong with reason and cure, and how many checks there were; with `all` each of them. */
export function reportText(examined: readonly Examined[], screen: Screen, all: boolean): void {
  for (const { id, findings, skipped } of examined) {
    if (skipped !== undefined && all) line(screen, { severity: 'skipped', id, text: skipped });
    for (const finding of findings) {
      if (finding.severity !== 'ok' || all) tell(screen, id, finding);
    }
  }
  screen.line(summary(examined));
}

function tell(screen: Screen, id: string, finding: Finding): void {
  line(screen, { severity: finding.severity, id, text: finding.what });
  if (finding.severity === 'ok') return;
  line(screen, { severity: '', id: 'why', text: finding.why });
  line(screen, { severity: '', id: 'mend', text: finding.cure });
}

interface Line {
  readonly severity: Severity | 'skipped' | '';
  readonly id: string;
  readonly text: string;
}

/** Names of nodes, files and devices in it are others' words: nothing that a terminal would act on comes through. */
function line(screen: Screen, { severity, id, text }: Line): void {
  const colour = severity === '' || severity === 'skipped' ? 'dim' : COLOURS[severity];
  const head = screen.paint(colour, severity.padEnd(FIRST));
  screen.line(`${head}${id.padEnd(SECOND)}${escapeControl(text)}`);
}

function summary(examined: readonly Examined[]): string {
  const skipped = examined.filter((each) => each.skipped !== undefined).length;
  const found = examined.flatMap(({ findings }) => findings);
  const parts = (['error', 'warning', 'info'] as const).flatMap((severity) => {
    const count = found.filter((finding) => finding.severity === severity).length;
    if (count === 0) return [];
    return severity === 'info' ? `${count} worth knowing` : `${count} ${severity}${count === 1 ? '' : 's'}`;
  });
  const result = parts.length === 0 ? 'nothing is wrong' : parts.join(', ');
  return `${examined.length - skipped} checks: ${result}${skipped === 0 ? '' : ` (${skipped} not asked)`}`;
}
