import type { Readiness } from './health.ts';

/**
 * Milliseconds without a word from the store after which it counts as lost. A watch that stays silent for half of it is opened
 * anew: an API server that only has nothing to say answers that, one that is gone does not.
 */
export const SILENCE = 60_000;

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

/** What is known of the store. Times are ms of the monotonic clock. */
export interface Contact {
  /** When it was last heard of; undefined: never. */
  readonly last: number | undefined;
  readonly now: number;
  /** ms without a word after which it counts as lost. */
  readonly silence: number;
  /** Its last failure; undefined while it answers. */
  readonly trouble: string | undefined;
  /** The peers are those of an earlier run. */
  readonly fromMemory: boolean;
}

/**
 * Ready: started, everything in the kernel as planned, the peers those that the store has listed, and the store heard of
 * within `silence` ms.
 */
export function readinessOf(state: ReadinessState, contact: Contact): Readiness {
  const broken = brokenBy(state);
  if (broken !== undefined) return { ready: false, reason: broken };
  const lost = lostBy(contact);
  if (lost !== undefined) return { ready: false, serving: true, reason: lost };
  return { ready: true, reason: 'ready' };
}

function brokenBy(state: ReadinessState): string | undefined {
  if (state.starting !== undefined) return state.starting;
  if (state.passError !== undefined) return `not as planned: ${state.passError}`;
  if (state.rulesError !== undefined) return `traffic rules: ${state.rulesError}`;
  if (state.fileError !== undefined) return `subnet file: ${state.fileError}`;
  return undefined;
}

function lostBy({ last, now, silence, trouble, fromMemory }: Contact): string | undefined {
  if (fromMemory) return `running from the last known state; API server: ${trouble ?? 'no answer'}`;
  const why = trouble === undefined ? '' : `: ${trouble}`;
  if (last === undefined) return `no word from the API server yet${why}`;
  if (now - last <= silence) return undefined;
  // Not for how long: the text would be news every second.
  return `no word from the API server for more than ${Math.round(silence / 1000)} s${why}`;
}
