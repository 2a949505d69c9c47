import { must } from './run.ts';

const root = new URL('../..', import.meta.url).pathname;

/** What is built: its time in seconds since 1970, and the commit, unless there is no repository. */
export interface Source {
  readonly time: number;
  /** 40 digits, with `-modified` behind them when files differ from the commit. */
  readonly revision: string | undefined;
}

/** The commit that is built, and its time unless SOURCE_DATE_EPOCH gives another. */
export function readSource(): Source {
  const given = process.env['SOURCE_DATE_EPOCH'];
  const time = Number(given ?? must(['git', 'log', '-1', '--format=%ct'], root));
  if (!Number.isSafeInteger(time) || time < 0)
    throw new Error(`SOURCE_DATE_EPOCH is ${given}: seconds since 1970`);
  const describe = ['git', 'describe', '--always', '--abbrev=40', '--exclude=*', '--dirty=-modified'];
  const git = Bun.spawnSync(describe, { cwd: root, stderr: 'ignore' });
  return { time, revision: git.exitCode === 0 ? git.stdout.toString().trim() : undefined };
}
