import type { Readiness } from './health.ts';

/** Milliseconds without a word from the store after which the watch counts as dead. */
const SILENCE = 60_000;

/** The conditions of readiness, in the order in which they come true. */
export interface ReadinessState {
  /** What the agent is doing or waiting for while it starts; undefined when it has started. */
  starting: string | undefined;
  /** The last full pass left errors. */
  passError: string | undefined;
  /** Traffic rules could not be written. */
  rulesError: string | undefined;
}

/** Ready: started, everything in the kernel as planned, and the store has been heard of in the last minute. */
export function readinessOf(
  state: ReadinessState,
  contact: { last: number | undefined; now: number },
): Readiness {
  if (state.starting !== undefined) return { ready: false, reason: state.starting };
  if (state.passError !== undefined) return { ready: false, reason: `not as planned: ${state.passError}` };
  if (state.rulesError !== undefined) return { ready: false, reason: `traffic rules: ${state.rulesError}` };
  const silence = contact.last === undefined ? Number.POSITIVE_INFINITY : contact.now - contact.last;
  if (silence > SILENCE) {
    return { ready: false, reason: `no word from the API server for ${Math.round(silence / 1000)} s` };
  }
  return { ready: true, reason: 'ready' };
}
