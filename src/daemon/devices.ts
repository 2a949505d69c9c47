import { Backoff } from '#base/backoff.ts';
import type { Clock } from '#base/clock.ts';
import { cureOf, describe, hasErrno } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { PassReport } from '#host/pass.ts';

export interface DevicesOptions {
  /** One attempt. */
  readonly setUp: () => PassReport;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** Told what is being waited for. */
  readonly onWait: (reason: string) => void;
}

/** So long a family that fails holds up one that works, ms. */
const PATIENCE = 5000;

/**
 * Sets up the overlay devices; waits while the kernel refuses, so that peers do not hear of a node that cannot receive.
 * Throws the kernel's error when only the operator can help: the agent lacks the right.
 */
export async function setUpDevices(options: DevicesOptions): Promise<void> {
  const { log, clock, signal } = options;
  const backoff = new Backoff({ initial: 500, max: 15_000, random: options.random });
  const start = clock.monotonic();
  for (let said = ''; ;) {
    const { errors, blocking } = options.setUp();
    const error = blocking ?? errors[0];
    if (error === undefined) return;
    if (hasErrno(error, 'EPERM')) throw error;
    const text = describe(error);
    const cure = cureOf(error);
    if (text !== said) {
      const fields = { error: text, ...(cure === undefined ? {} : { cure }) };
      log.error('the overlay device cannot be set up; trying again', fields);
    }
    said = text;
    // Full passes go on trying.
    if (blocking === undefined && clock.monotonic() - start >= PATIENCE) return;
    options.onWait(`overlay device: ${text}`);
    await clock.sleep(backoff.next(), signal);
  }
}
