import type { LabView } from '../../model.ts';
import type { Player } from '../data/player.ts';
import { hopPoint } from './lab-scene.ts';
import type { Trail } from './paint-top.ts';
import type { Scene } from './scene.ts';

/** Where the packet of a walk is, and its way there or back around it. Undefined when nobody saw the packet. */
export function trailOf(player: Player, scene: Scene, lab: LabView): Trail | undefined {
  const points = player.steps.map(({ hop }) => hopPoint(scene, lab, hop) ?? { x: 0, y: 0 });
  const way = player.steps[player.index]?.way;
  const from = points[player.index];
  if (from === undefined) return undefined;
  const next = points[player.index + 1] ?? from;
  const share = ease(player.progress);
  const first = player.steps.findIndex((step) => step.way === way);
  return {
    passed: points.slice(first, player.index + 1),
    ahead: points.slice(player.index + 1).filter((_, i) => player.steps[player.index + 1 + i]?.way === way),
    packet: { x: from.x + (next.x - from.x) * share, y: from.y + (next.y - from.y) * share },
    wrapped: player.steps[player.index]?.hop.wrapped === true,
    moving: player.playing,
  };
}

/** It rests at a device and hurries between them. */
function ease(share: number): number {
  const moved = Math.max(0, (share - 0.45) / 0.55);
  return moved * moved * (3 - 2 * moved);
}
