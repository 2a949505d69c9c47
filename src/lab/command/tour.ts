import { readFileSync } from 'node:fs';
import { cureOf, describe, FlannelError } from '#base/errors.ts';
import type { Screen } from '../report/screen.ts';
import { down } from './down.ts';
import type { UpOptions } from './options.ts';
import { followLab, startLab } from './up.ts';

/** Exit codes 128 + signal. */
const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/** `up` alone: the lab stays. What does not come up is removed again. */
export async function upOnly(options: UpOptions, screen: Screen): Promise<number> {
  const lab = startLab(options, screen);
  using _ = downOnSignal(options.name, screen);
  try {
    await followLab(lab, screen);
  } catch (error) {
    showLog(lab.paths.log, screen);
    down(options.name, screen);
    throw error;
  }
  const name = options.name === 'lab' ? '' : ` --name ${options.name}`;
  screen.line(
    `next: flannelctl lab status|verify|walk|page|break|exec${name}; flannelctl lab down${name} removes it`,
  );
  return 0;
}

/** The whole tour: up, verify, walk, down; 0 only when every check held. */
export async function tour(options: UpOptions, screen: Screen): Promise<number> {
  const { name } = options;
  const code = await runAndRemove({ options, original: false }, screen, async (title) => {
    title('verify');
    const verified = await (await import('../verify/main.ts')).verify(name, screen);
    title('walk');
    const walked = await (await import('../walk/main.ts')).walk(name, undefined, screen);
    return verified === 0 && walked === 0;
  });
  screen.line(
    code === 0 ? screen.paint('green', 'every check held') : screen.paint('red', 'not every check held'),
  );
  return code;
}

interface WhatToRun {
  readonly options: UpOptions;
  /** Nodes as the original leaves them. */
  readonly original: boolean;
}

/** A lab for as long as `body` runs, which gets a function that prints headings; 0 when it is satisfied. */
export async function runAndRemove(
  { options, original }: WhatToRun,
  screen: Screen,
  body: (title: (text: string) => void) => Promise<boolean>,
): Promise<number> {
  const title = (text: string) => screen.line(`\n${screen.paint('bold', text)}`);
  title('up');
  const lab = startLab(options, screen, original);
  using _ = downOnSignal(options.name, screen);
  try {
    await followLab(lab, screen);
    return (await body(title)) ? 0 : 1;
  } catch (error) {
    if (!(error instanceof FlannelError)) throw error;
    screen.line(screen.paint('red', describe(error)));
    const cure = cureOf(error);
    if (cure !== undefined) screen.line(`  ${cure}`);
    showLog(lab.paths.log, screen);
    return 1;
  } finally {
    title('down');
    down(options.name, screen);
  }
}

/** Ctrl-C at any moment removes the lab. */
function downOnSignal(name: string, screen: Screen): Disposable {
  const handlers = Object.entries(SIGNALS).map(([signal, code]) => {
    const handler = () => {
      screen.line();
      down(name, screen);
      process.exit(code);
    };
    process.on(signal, handler);
    return () => process.off(signal, handler);
  });
  return {
    [Symbol.dispose]() {
      for (const off of handlers) off();
    },
  };
}

/** The log goes with the lab's folder: its end is all that a failed run leaves. */
function showLog(path: string, screen: Screen): void {
  try {
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n').slice(-10);
    screen.lines(['the log of the lab ends:', ...lines.map((line) => `  ${line}`)]);
  } catch {
    // It has none.
  }
}
