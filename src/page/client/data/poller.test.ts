import { expect, test } from 'bun:test';
import { Poller } from './poller.ts';

/** Time that passes when it is told to. */
class FakeTimers {
  now = 0;
  readonly #waiting = new Map<number, { at: number; run: () => void }>();
  #next = 1;

  set(run: () => void, ms: number): number {
    this.#waiting.set(this.#next, { at: this.now + ms, run });
    this.#next += 1;
    return this.#next - 1;
  }

  clear(timer: unknown): void {
    this.#waiting.delete(timer as number);
  }

  async pass(ms: number): Promise<void> {
    const end = this.now + ms;
    for (;;) {
      await settled();
      const [due] = [...this.#waiting]
        .filter(([, { at }]) => at <= end)
        .toSorted((a, b) => a[1].at - b[1].at);
      if (due === undefined) break;
      this.#waiting.delete(due[0]);
      this.now = due[1].at;
      due[1].run();
    }
    this.now = end;
  }
}

async function settled(): Promise<void> {
  for (let i = 0; i < 10; i += 1) await Promise.resolve();
}

function world(answer: (signal: AbortSignal) => Promise<void>) {
  const timers = new FakeTimers();
  const asked: number[] = [];
  let [open, most] = [0, 0];
  const ask = async (signal: AbortSignal) => {
    asked.push(timers.now);
    open += 1;
    most = Math.max(most, open);
    try {
      await answer(signal);
    } finally {
      open -= 1;
    }
  };
  const poller = new Poller({ ask, interval: 1000, timeout: 5000, timers, random: () => 1 });
  return { poller, timers, asked, most: () => most };
}

test('asks an interval after each answer', async () => {
  const { poller, timers, asked } = world(async () => {});
  poller.resume();
  await timers.pass(3500);
  expect(asked).toEqual([0, 1000, 2000, 3000]);
});

test('waits longer and longer while nobody answers, and no longer once somebody does', async () => {
  let up = false;
  const { poller, timers, asked } = world(async () => {
    if (!up) throw new Error('down');
  });
  poller.resume();
  await timers.pass(29_000);
  expect(asked).toEqual([0, 2000, 6000, 14_000, 29_000]);
  up = true;
  await timers.pass(17_500);
  expect(asked.slice(5)).toEqual([44_000, 45_000, 46_000]);
});

test('an answer that does not come is given up; two questions are never open', async () => {
  const { poller, timers, asked, most } = world(
    (signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('late')))),
  );
  poller.resume();
  await timers.pass(2000);
  poller.now();
  poller.now();
  await timers.pass(4000);
  expect(asked).toEqual([0, 5000]);
  expect(most()).toBe(1);
});

test('a pause ends the question and asks nothing; going on asks at once', async () => {
  let aborted = 0;
  const { poller, timers, asked } = world(
    (signal) =>
      new Promise((_, reject) =>
        signal.addEventListener('abort', () => {
          aborted += 1;
          reject(new Error('paused'));
        }),
      ),
  );
  poller.resume();
  await timers.pass(100);
  poller.pause();
  await timers.pass(60_000);
  expect([asked, aborted]).toEqual([[0], 1]);
  poller.now();
  await timers.pass(1);
  expect(asked).toHaveLength(1);
  poller.resume();
  poller.resume();
  await timers.pass(1);
  expect(asked).toHaveLength(2);
});
