import type { HopView, WalkView } from '../../model.ts';

/** One sight of the packet, on its way there or back. */
export interface Step {
  readonly way: 'request' | 'reply';
  readonly hop: HopView;
}

/** Where a walk that is watched stands. Immutable: each action makes another. */
export interface Player {
  readonly steps: readonly Step[];
  /** The step that the packet has reached. */
  readonly index: number;
  /** How far it is to the next one: 0 to 1. */
  readonly progress: number;
  readonly playing: boolean;
}

/** ms from one device to the next: slow enough to read where it is. */
const HOP_MS = 1100;

export function startPlayer(walk: WalkView, playing: boolean): Player {
  const way = (of: Step['way'], hops: readonly HopView[]) => hops.map((hop): Step => ({ way: of, hop }));
  const steps = [...way('request', walk.request), ...way('reply', walk.reply)];
  return { steps, index: 0, progress: 0, playing: playing && steps.length > 1 };
}

/** `ms` later. A player that has reached the last step stops. */
export function advance(player: Player, ms: number): Player {
  if (!player.playing) return player;
  const last = player.steps.length - 1;
  const at = player.index + player.progress + Math.max(0, ms) / HOP_MS;
  if (!(at < last)) return { ...player, index: Math.max(0, last), progress: 0, playing: false };
  const index = Math.floor(at);
  return { ...player, index, progress: at - index };
}

/** To a step, and stop there. */
export function seek(player: Player, index: number): Player {
  const last = Math.max(0, player.steps.length - 1);
  return { ...player, index: Math.min(last, Math.max(0, index)), progress: 0, playing: false };
}

/** A step on or back. Half-way between two, back is to the one it came from. */
export function step(player: Player, by: 1 | -1): Player {
  return seek(player, by < 0 && player.progress > 0 ? player.index : player.index + by);
}

/** At the end it starts anew. */
export function toggle(player: Player): Player {
  if (player.playing) return { ...player, playing: false };
  const atEnd = player.index >= player.steps.length - 1;
  return { ...player, playing: player.steps.length > 1, ...(atEnd ? { index: 0, progress: 0 } : {}) };
}
