import { expect, test } from 'bun:test';
import fc from 'fast-check';
import type { HopView } from '../../model.ts';
import { advance, seek, startPlayer, step, toggle, type Player } from './player.ts';

function hop(us: number): HopView {
  return {
    place: { kind: 'node', name: 'n1' },
    device: 'eth0',
    outgoing: true,
    us,
    packet: [],
    wrapped: false,
    why: '',
  };
}

function walk(there: number, back: number) {
  const hops = (count: number) => Array.from({ length: count }, (_, i) => hop(i));
  return { schema: 1, from: 'a', to: 'b', request: hops(there), reply: hops(back), arrived: true } as const;
}

test('runs from the first device there to the last one back, and stops', () => {
  let player = startPlayer(walk(2, 1), true);
  expect(player.steps.map(({ way }) => way)).toEqual(['request', 'request', 'reply']);
  player = advance(player, 550);
  expect(player).toMatchObject({ index: 0, progress: 0.5, playing: true });
  player = advance(player, 1100);
  expect(player).toMatchObject({ index: 1, progress: 0.5 });
  player = advance(player, 60_000);
  expect(player).toMatchObject({ index: 2, progress: 0, playing: false });
  expect(advance(player, 1000)).toBe(player);
  expect(toggle(player)).toMatchObject({ index: 0, playing: true });
});

test('steps stop it; half-way back is where it came from', () => {
  const player = advance(startPlayer(walk(3, 0), true), 1650);
  expect(player).toMatchObject({ index: 1, progress: 0.5 });
  expect(step(player, -1)).toMatchObject({ index: 1, progress: 0, playing: false });
  expect(step(step(player, -1), -1)).toMatchObject({ index: 0 });
  expect(step(player, 1)).toMatchObject({ index: 2, playing: false });
});

test('a walk that nobody saw does not play', () => {
  const empty = startPlayer(walk(0, 0), true);
  expect(empty.playing).toBe(false);
  for (const player of [toggle(empty), step(empty, 1), advance(toggle(empty), 5000)]) {
    expect(player).toMatchObject({ index: 0, progress: 0, playing: false });
  }
});

test('whatever is done, it stands at one of its steps', () => {
  const actions: fc.Arbitrary<(player: Player) => Player> = fc.oneof(
    fc.integer({ min: -50, max: 9999 }).map((ms) => (player: Player) => advance(player, ms)),
    fc.integer({ min: -9, max: 99 }).map((to) => (player: Player) => seek(player, to)),
    fc.constantFrom<1 | -1>(1, -1).map((by) => (player: Player) => step(player, by)),
    fc.constant(toggle),
  );
  fc.assert(
    fc.property(fc.nat(6), fc.nat(6), fc.array(actions), (there, back, list) => {
      const end = list.reduce((player, action) => action(player), startPlayer(walk(there, back), true));
      expect(end.index).toBeGreaterThanOrEqual(0);
      expect(end.index).toBeLessThanOrEqual(Math.max(0, there + back - 1));
      expect(end.progress >= 0 && end.progress < 1).toBe(true);
    }),
  );
});
