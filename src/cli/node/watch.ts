const PERIOD = 1000;
/** ECMA-48: cursor home, erase to the end of the display, erase to the end of the line, cursor off and on. */
const HOME = '\u001B[H';
const ERASE_BELOW = '\u001B[J';
const ERASE_RIGHT = '\u001B[K';
const HIDE = '\u001B[?25l';
const SHOW = '\u001B[?25h';

export interface WatchOptions {
  /** Redrawn in place on a terminal, else written one after another. */
  readonly terminal: boolean;
  readonly write: (text: string) => void;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** ms; default a second. */
  readonly period?: number;
}

/**
 * Draws again and again until the signal. What one drawing writes is gathered and written at once, so that nothing flickers;
 * each begins a second after the one before began, or at once when that took longer.
 */
export async function watch(
  draw: (write: (text: string) => void) => Promise<unknown>,
  options: WatchOptions,
): Promise<void> {
  const { terminal, write, signal, period = PERIOD } = options;
  if (terminal) write(`${HIDE}${HOME}${ERASE_BELOW}`);
  try {
    for (let first = true; !signal.aborted; first = false) {
      const start = performance.now();
      let text = '';
      await draw((piece) => void (text += piece));
      if (signal.aborted) break;
      if (terminal) write(`${HOME}${text.replaceAll('\n', `${ERASE_RIGHT}\n`)}${ERASE_BELOW}`);
      else write(first ? text : `\n${text}`);
      await pause(period - (performance.now() - start), signal);
    }
  } finally {
    if (terminal) write(SHOW);
  }
}

/** Until the time has passed or the signal comes. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms <= 0 || signal.aborted) return Promise.resolve();
  const { promise, resolve } = Promise.withResolvers<void>();
  const end = () => resolve();
  const timer = setTimeout(end, ms);
  signal.addEventListener('abort', end, { once: true });
  return promise.finally(() => {
    clearTimeout(timer);
    signal.removeEventListener('abort', end);
  });
}
