import { centre, holds, type Point } from './geometry.ts';
import type { Item, Scene } from './scene.ts';

/** What is at a point of the scene: the innermost. */
export function pick(scene: Scene, at: Point): Item | undefined {
  return scene.items.findLast((item) => holds(item.box, at));
}

export type Direction = 'left' | 'right' | 'up' | 'down';

/** The nearest item from `from` in a direction, straight ahead before aside; undefined when there is none. */
export function neighbour(scene: Scene, from: Item, direction: Direction): Item | undefined {
  const here = centre(from.box);
  let best: Item | undefined;
  let least = Infinity;
  for (const item of scene.items) {
    if (item === from || item.kind === 'device' || item.kind === 'group') continue;
    const there = centre(item.box);
    const [dx, dy] = [there.x - here.x, there.y - here.y];
    const [ahead, aside] = {
      left: [-dx, dy],
      right: [dx, dy],
      up: [-dy, dx],
      down: [dy, dx],
    }[direction] as [number, number];
    if (ahead <= 0 || Math.abs(aside) > 2 * ahead) continue;
    const cost = ahead + 3 * Math.abs(aside);
    if (cost < least) [best, least] = [item, cost];
  }
  return best;
}
