import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import { readText } from '#ffi/file-system.ts';
import { sweepReservations, type Swept } from '#ipam/sweep.ts';

/** Time between two looks at the store, ms; and after a look that met a plugin at work. */
const PERIOD = 180_000;
const BUSY = 5000;

export interface ReservationsOptions {
  /** The folder with a store per network (`--ipam-dir`); empty: nothing is done. */
  readonly dir: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** Hears how many addresses were freed. */
  readonly onFreed: (count: number) => void;
}

/**
 * Until `signal` is aborted: gives back, at once and then every few minutes, the addresses of containers that went without
 * a DEL. `host-local` itself looks for them only when a range is full.
 */
export async function keepReservations(options: ReservationsOptions): Promise<void> {
  const { dir, clock, log, signal, onFreed } = options;
  if (dir === '') return;
  const bootId = readText('/proc/sys/kernel/random/boot_id').trim();
  const said = new Map<string, string>();
  while (!signal.aborted) {
    const swept = sweepReservations(dir, bootId);
    for (const network of swept) {
      report(network, { log, said });
      if (network.freed.length > 0) onFreed(network.freed.length);
    }
    const busy = swept.some(({ problem }) => problem === 'busy');
    try {
      await clock.sleep(busy ? BUSY : PERIOD, signal);
    } catch {
      return;
    }
  }
}

function report(
  { network, freed, problem }: Swept,
  { log, said }: { readonly log: Logger; readonly said: Map<string, string> },
): void {
  if (freed.length > 0) {
    const first = freed.slice(0, 5).map(({ ip, holder }) => `${ip} of ${holder.containerId}`);
    log.info('freed addresses of containers that are gone', {
      network,
      count: freed.length,
      found: first.join(', '),
    });
  }
  if (problem === 'busy') return;
  if (problem !== undefined && said.get(network) !== problem)
    log.warn('reservations of addresses cannot be looked at', { network, error: problem });
  if (problem === undefined) said.delete(network);
  else said.set(network, problem);
}
