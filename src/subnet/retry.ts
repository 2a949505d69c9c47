import { Backoff } from '#base/backoff.ts';
import type { Clock } from '#base/clock.ts';
import { cureOf, describe } from '#base/errors.ts';
import type { LogFields, Logger } from '#base/log.ts';
import { retryAfterOf } from '#clients/k8s/errors.ts';
import type { StoreObserver } from './observer.ts';

/** What everything that talks to the API server for ever needs. */
export interface RetryContext {
  readonly clock: Clock;
  /** Uniform random in [0, 1). */
  readonly random: () => number;
  readonly log: Logger;
  /** Told what is being waited for, and why, in one line; with the error when the API server's answer is not the one hoped for. */
  readonly onWait?: ((reason: string, error?: string) => void) | undefined;
  readonly observer: StoreObserver;
}

/** How often an unchanged complaint is repeated, ms. */
const REPEAT = 60_000;
/** How many different complaints are remembered: a connection that comes and goes fails in two or three ways. */
const KINDS = 8;
/** Longest wait that a server's Retry-After is granted, ms. */
const LONGEST_WAIT = 300_000;

/** A condition that lasts: logged when it begins and when it changes, the same words once a minute at most, and when it ends. */
export class Complaint {
  readonly #context: RetryContext;
  /** What was logged, and when; the latest last. */
  readonly #logged = new Map<string, number>();
  /** It was logged, and its end was not. */
  #open = false;

  constructor(context: RetryContext) {
    this.#context = context;
  }

  /** Logs `error` with its cure. */
  say(what: string, error: unknown): void {
    this.#context.observer.failed(error);
    const cure = cureOf(error);
    this.tell(what, { error: describe(error), ...(cure !== undefined && { cure }) });
  }

  tell(what: string, fields: LogFields): void {
    const error = textOf(fields['error']);
    const why = error ?? textOf(fields['cure']);
    this.#context.onWait?.(why === undefined ? what : `${what}: ${why}`, error);
    const text = JSON.stringify([what, fields]);
    const now = this.#context.clock.monotonic();
    if (now - (this.#logged.get(text) ?? Number.NEGATIVE_INFINITY) < REPEAT) return;
    this.#logged.delete(text);
    this.#logged.set(text, now);
    const [oldest] = this.#logged.keys();
    if (this.#logged.size > KINDS && oldest !== undefined) this.#logged.delete(oldest);
    this.#open = true;
    this.#context.log.warn(what, fields);
  }

  /** The condition is over; `what` is logged when the condition was. One that comes and goes all the time is not. */
  over(what: string): void {
    if (this.#open) this.#context.log.info(what);
    this.#open = false;
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** Exponential waits with jitter that honour the server's Retry-After. */
export class Waits {
  readonly #clock: Clock;
  readonly #backoff: Backoff;

  constructor(
    { clock, random }: Pick<RetryContext, 'clock' | 'random'>,
    range: { initial: number; max: number },
  ) {
    this.#clock = clock;
    this.#backoff = new Backoff({ ...range, random });
  }

  /** Sleeps the next delay, or as long as `error` asks for. Rejects with the signal's reason. */
  async sleep(signal: AbortSignal, error?: unknown): Promise<void> {
    const asked = Math.min(retryAfterOf(error) ?? 0, LONGEST_WAIT);
    await this.#clock.sleep(Math.max(this.#backoff.next(), asked), signal);
  }

  reset(): void {
    this.#backoff.reset();
  }
}

/** Runs `attempt` until it succeeds; complains about each kind of failure. Rejects only with the signal's reason. */
export async function retry<T>(
  context: RetryContext,
  task: { readonly what: string; readonly signal: AbortSignal; readonly attempt: () => Promise<T> },
): Promise<T> {
  const complaint = new Complaint(context);
  const waits = new Waits(context, { initial: 500, max: 15_000 });
  for (;;) {
    task.signal.throwIfAborted();
    try {
      const result = await task.attempt();
      complaint.over(`${task.what}: done`);
      return result;
    } catch (error) {
      task.signal.throwIfAborted();
      complaint.say(`${task.what}: failed, trying again`, error);
      await waits.sleep(task.signal, error);
    }
  }
}
