import type { Readiness } from './health.ts';

/**
 * Milliseconds without a word from the store after which it counts as lost. A quiet cluster sends one bookmark a minute,
 * and a watch that stays silent is opened anew after 90 s: only more than that means something.
 */
export const SILENCE = 120_000;

/** The conditions of readiness, in the order in which they come true. */
export interface ReadinessState {
  /** What the agent is doing or waiting for while it starts; undefined when it has started. */
  starting: string | undefined;
  /** The last full pass left errors. */
  passError: string | undefined;
  /** Traffic rules could not be written. */
  rulesError: string | undefined;
  /** The subnet file could not be written: CNI plugins have nothing to go by. */
  fileError: string | undefined;
}

/** Ready: started, everything in the kernel as planned, and the store was heard of within `silence` ms. */
export function readinessOf(
  state: ReadinessState,
  contact: { last: number | undefined; now: number; silence: number },
): Readiness {
  if (state.starting !== undefined) return { ready: false, reason: state.starting };
  if (state.passError !== undefined) return { ready: false, reason: `not as planned: ${state.passError}` };
  if (state.rulesError !== undefined) return { ready: false, reason: `traffic rules: ${state.rulesError}` };
  if (state.fileError !== undefined) return { ready: false, reason: `subnet file: ${state.fileError}` };
  if (contact.last === undefined) return { ready: false, reason: 'no word from the API server yet' };
  const silence = contact.now - contact.last;
  if (silence > contact.silence) {
    return { ready: false, reason: `no word from the API server for ${Math.round(silence / 1000)} s` };
  }
  return { ready: true, reason: 'ready' };
}
