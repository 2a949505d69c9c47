import type { Logger } from '#base/log.ts';
import { notifySystemd } from './notify.ts';

export interface SystemdOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly pid: number;
  /** False when the program runs but does not get on with its work. */
  readonly isAlive: () => boolean;
  readonly log: Logger;
  /** How often systemd hears that the start takes longer, ms. */
  readonly extendEvery?: number;
}

/** While the agent waits, for the API server perhaps for hours: how often systemd hears of it, and for how long that is good, ms. */
const EXTEND_EVERY = 10_000;
const EXTEND_BY = 60_000;

/**
 * What systemd is told (sd_notify(3)): that the start takes longer, READY=1, STATUS=, WATCHDOG=1 at half of its period, STOPPING=1.
 * The watchdog's timer is proof that the event loop runs; whether the rest does is asked each time.
 */
export class Systemd implements Disposable {
  readonly #options: SystemdOptions;
  readonly #socket: string | undefined;
  readonly #timers: ReturnType<typeof setInterval>[] = [];
  #extending: ReturnType<typeof setInterval> | undefined;
  #status = '';
  #stuck = false;

  constructor(options: SystemdOptions) {
    this.#options = options;
    this.#socket = options.env['NOTIFY_SOCKET'];
    if (this.#socket === undefined) return;
    this.#extend();
    this.#extending = setInterval(() => this.#extend(), options.extendEvery ?? EXTEND_EVERY);
    const period = watchdogPeriod(options);
    if (period !== undefined) this.#timers.push(setInterval(() => this.#feed(), period / 2));
  }

  /** The start is over. */
  ready(): void {
    clearInterval(this.#extending);
    this.#send('READY=1');
  }

  /** One line for people (`systemctl status`). */
  status(text: string): void {
    if (text === this.#status) return;
    this.#status = text;
    // A newline would begin another assignment.
    this.#send(`STATUS=${text.replaceAll(/[\x00-\x1f]/g, ' ').slice(0, 200)}`);
  }

  stopping(): void {
    clearInterval(this.#extending);
    this.#send('STOPPING=1');
  }

  [Symbol.dispose](): void {
    clearInterval(this.#extending);
    for (const timer of this.#timers) clearInterval(timer);
  }

  #extend(): void {
    this.#send(`EXTEND_TIMEOUT_USEC=${EXTEND_BY * 1000}`);
  }

  #feed(): void {
    const alive = this.#options.isAlive();
    if (alive) this.#send('WATCHDOG=1');
    else if (!this.#stuck)
      this.#options.log.error('the reconciler is stuck; systemd is not told that all is well');
    this.#stuck = !alive;
  }

  #send(state: string): void {
    notifySystemd(this.#socket, state);
  }
}

/** The watchdog's period, ms (sd_watchdog_enabled(3)); undefined when there is none or it watches another process. */
function watchdogPeriod({ env, pid }: SystemdOptions): number | undefined {
  const microseconds = env['WATCHDOG_USEC'] ?? '';
  const watched = env['WATCHDOG_PID'];
  if (!/^[1-9]\d{0,15}$/.test(microseconds)) return undefined;
  if (watched !== undefined && watched !== String(pid)) return undefined;
  // setInterval takes no more than 31 bits.
  return Math.min(Math.max(1, Number(microseconds) / 1000), 2 ** 31 - 1);
}
