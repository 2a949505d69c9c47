import { runningLab } from '../command/running.ts';
import { askAll } from '../probe/ask.ts';
import { labEnvironment } from '../process/run.ts';
import type { Screen } from '../report/screen.ts';
import { table } from '../report/table.ts';
import { labPaths } from '../state/paths.ts';
import type { LabState } from '../state/state.ts';
import { planChecks } from './checks.ts';
import { judge, type Verdict } from './judge.ts';
import { judgeRanges, readRanges } from './ranges.ts';

/** Failures shown below the table, per check. */
const SHOWN = 5;

const COLUMNS = ['', 'network model', 'check', 'evidence'].map((title) => ({ title }));

/** `lab verify`: the table of all checks; 0 when every one held. */
export async function verify(name: string, screen: Screen): Promise<number> {
  const start = performance.now();
  const verdicts = await runChecks(runningLab(name));
  const mark = (ok: boolean) => (ok ? screen.paint('green', 'ok') : screen.paint('red', 'FAIL'));
  const rows = verdicts.map(({ ok, part, title, evidence }) => [mark(ok), part, title, evidence]);
  screen.lines(table(COLUMNS, rows));
  for (const { title, failures } of verdicts) {
    for (const failure of failures.slice(0, SHOWN))
      screen.line(screen.paint('red', `  ${title}: ${failure}`));
    if (failures.length > SHOWN) screen.line(`  ${title}: and ${failures.length - SHOWN} more`);
  }
  const failed = verdicts.filter(({ ok }) => !ok).length;
  const took = ((performance.now() - start) / 1000).toFixed(2);
  const held = `${verdicts.length - failed} of ${verdicts.length} checks held (${took} s)`;
  screen.line(screen.paint(failed === 0 ? 'green' : 'red', held));
  return failed === 0 ? 0 : 1;
}

/** All checks, all their packets at once. */
export async function runChecks(state: LabState): Promise<Verdict[]> {
  const checks = planChecks(state);
  const env = labEnvironment(labPaths(state.options.name, process.env).folder);
  const results = await askAll(
    checks.flatMap((check) => check.expectations),
    env,
  );
  let at = 0;
  const verdicts = checks.map((check) => {
    const own = results.slice(at, at + check.expectations.length);
    at += check.expectations.length;
    return judge(check, own);
  });
  return [...verdicts, judgeRanges(readRanges(state))].toSorted((a, b) => order(a) - order(b));
}

/** Requirements, then behaviours, then the rest; within a part the order of the plan. */
function order({ part }: Verdict): number {
  const match = /^(requirement|behaviour) (\d)/.exec(part);
  return match === null ? 100 : Number(match[2]) + (match[1] === 'behaviour' ? 10 : 0);
}
