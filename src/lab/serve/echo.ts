import type { Subprocess } from 'bun';
import { FlannelError } from '#base/errors.ts';
import { enterArgv, type Place } from '../process/places.ts';
import { innerArgv } from '../process/run.ts';
import { ECHO_PORT } from '../state/address-plan.ts';
import { startHeldWithOutput } from './child.ts';

/** What the inner command prints once both sockets are open. */
export const LISTENING = 'listening\n';

/** Starts the echo server of a pod, a node or the world, and waits until it listens; returns its process. */
export async function startEcho(
  place: Place,
  options: { readonly env: Readonly<Record<string, string>>; readonly log: string },
): Promise<Subprocess> {
  const own = place.kind === 'node' ? [place.node.ip] : [];
  const argv = enterArgv(place, innerArgv('__echo', place.name, String(ECHO_PORT), ...own));
  const server = startHeldWithOutput(argv, options);
  const reader = server.stdout.getReader();
  const { value } = await reader.read();
  reader.releaseLock();
  if (value !== undefined && new TextDecoder().decode(value) === LISTENING) return server;
  throw new FlannelError('kernel', `the server of ${place.name} does not start`, {
    cure: `Read ${options.log}`,
  });
}
