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
    `next: flannelctl lab status|verify|walk|break|exec${name}; flannelctl lab down${name} removes it`,
  );
  return 0;
}

/** The whole tour: up, verify, walk, down; 0 only when every check held. */
export async function tour(options: UpOptions, screen: Screen): Promise<number> {
  const { name } = options;
  const title = (text: string) => screen.line(`\n${screen.paint('bold', text)}`);
  title('up');
  const lab = startLab(options, screen);
  using _ = downOnSignal(name, screen);
  let code = 1;
  try {
    await followLab(lab, screen);
    title('verify');
    const verified = await (await import('../verify/main.ts')).verify(name, screen);
    title('walk');
    const walked = await (await import('../walk/main.ts')).walk(name, undefined, screen);
    code = verified === 0 && walked === 0 ? 0 : 1;
  } catch (error) {
    if (!(error instanceof FlannelError)) throw error;
    screen.line(screen.paint('red', describe(error)));
    const cure = cureOf(error);
    if (cure !== undefined) screen.line(`  ${cure}`);
    showLog(lab.paths.log, screen);
  } finally {
    title('down');
    down(name, screen);
  }
  screen.line(
    code === 0 ? screen.paint('green', 'every check held') : screen.paint('red', 'not every check held'),
  );
  return code;
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
