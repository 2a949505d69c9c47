import { writeSync } from 'node:fs';
import { hasErrno } from '#base/errors.ts';

export type Colour = 'green' | 'red' | 'yellow' | 'cyan' | 'dim' | 'bold';

const CODES: Readonly<Record<Colour, number>> = {
  bold: 1,
  dim: 2,
  red: 31,
  green: 32,
  yellow: 33,
  cyan: 36,
};

/** Where the lab's commands write: plain lines, coloured on a terminal. */
export interface Screen {
  line(text?: string): void;
  lines(texts: readonly string[]): void;
  /** As it stands, without a line end of its own. */
  write(text: string): void;
  paint(colour: Colour, text: string): string;
}

export interface ScreenOptions {
  readonly write: (text: string) => void;
  readonly colours: boolean;
}

export function createScreen(options: ScreenOptions): Screen {
  const line = (text = '') => options.write(`${text}\n`);
  return {
    line,
    lines: (texts) => {
      for (const text of texts) line(text);
    },
    write: options.write,
    paint: (colour, text) => (options.colours ? `\u001B[${CODES[colour]}m${text}\u001B[0m` : text),
  };
}

/** Standard output, without the cost and the buffering of `process.stdout`. `write`: where else, coloured as it would be there. */
export function standardScreen(
  terminal: boolean,
  environment: NodeJS.ProcessEnv,
  write: (text: string) => void = writeStandardOutput,
): Screen {
  const colours = terminal && environment['NO_COLOR'] === undefined && environment['TERM'] !== 'dumb';
  return createScreen({ write, colours });
}

/** Writes all of it; waits where a pipe is full, stops in silence where its reader has gone. */
export function writeStandardOutput(text: string): void {
  let rest = Buffer.from(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(1, rest));
    } catch (error) {
      if (hasErrno(error, 'EAGAIN')) {
        Bun.sleepSync(1);
        continue;
      }
      // EPIPE: `flannelctl lab walk | head` is no mistake.
      return;
    }
  }
}
