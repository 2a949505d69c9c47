import { expect, test } from 'bun:test';
import { watch } from './watch.ts';

async function run(terminal: boolean, drawings: number): Promise<string[]> {
  const written: string[] = [];
  const end = new AbortController();
  let drawn = 0;
  const draw = async (write: (text: string) => void) => {
    drawn += 1;
    write(`line ${drawn}\n`);
    write('second\n');
    if (drawn === drawings) setTimeout(() => end.abort(), 5);
  };
  await watch(draw, { terminal, write: (text) => void written.push(text), signal: end.signal, period: 20 });
  return written;
}

test('on a terminal it is drawn in place, at once, and the cursor comes back', async () => {
  expect(await run(true, 2)).toEqual([
    '\u001B[?25l\u001B[H\u001B[J',
    '\u001B[Hline 1\u001B[K\nsecond\u001B[K\n\u001B[J',
    '\u001B[Hline 2\u001B[K\nsecond\u001B[K\n\u001B[J',
    '\u001B[?25h',
  ]);
});

test('elsewhere one drawing follows another', async () => {
  expect(await run(false, 2)).toEqual(['line 1\nsecond\n', '\nline 2\nsecond\n']);
});

test('a drawing that fails ends it, with the cursor back', async () => {
  const written: string[] = [];
  const options = {
    terminal: true,
    write: (text: string) => void written.push(text),
    signal: new AbortController().signal,
  };
  const failing = watch(() => Promise.reject(new Error('no')), options);
  expect(await failing.catch(String)).toBe('Error: no');
  expect(written.at(-1)).toBe('\u001B[?25h');
});
