import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { fit, pan, reveal, toScene, toScreen, zoom } from './viewport.ts';

const BOUNDS = { x: -500, y: -300, w: 1000, h: 600 };
const SCREEN = { w: 800, h: 600 };

test('everything fits, in the middle', () => {
  const view = fit(BOUNDS, SCREEN);
  expect(toScreen(view, { x: 0, y: 0 })).toEqual({ x: 400, y: 286 });
  expect(toScreen(view, { x: -500, y: 0 }).x).toBeCloseTo(24);
  expect(fit({ x: 0, y: 0, w: 0, h: 0 }, { w: 0, h: 0 }).scale).toBeGreaterThan(0);
});

test('what is under the pointer stays there while it is zoomed', () => {
  const whole = fit(BOUNDS, SCREEN);
  fc.assert(
    fc.property(fc.nat(800), fc.nat(600), fc.double({ min: 0.2, max: 5, noNaN: true }), (x, y, factor) => {
      const before = toScene(whole, { x, y });
      const after = toScreen(zoom(whole, factor, { x, y }, whole), before);
      expect(after.x).toBeCloseTo(x, 6);
      expect(after.y).toBeCloseTo(y, 6);
    }),
  );
});

test('neither zoom nor pan loses the map', () => {
  const whole = fit(BOUNDS, SCREEN);
  let view = whole;
  for (let i = 0; i < 60; i += 1) view = zoom(view, 2, { x: 0, y: 0 }, whole);
  expect(view.scale).toBe(8);
  view = pan(whole, { x: 1e9, y: -1e9 }, BOUNDS, SCREEN);
  expect(toScreen(view, { x: -500, y: 0 }).x).toBeCloseTo(740);
  expect(toScreen(view, { x: 0, y: 300 }).y).toBeCloseTo(60);
});

test('what is shown is on the screen and can be read', () => {
  const whole = fit(BOUNDS, SCREEN);
  const small = { x: 400, y: 250, w: 20, h: 10 };
  const view = reveal(whole, small, SCREEN);
  expect(small.w * view.scale).toBeGreaterThanOrEqual(139);
  expect(toScreen(view, small).x).toBeGreaterThan(0);
  const large = { x: -100, y: -50, w: 200, h: 100 };
  expect(reveal(whole, large, SCREEN)).toEqual(whole);
});
