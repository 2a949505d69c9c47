import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { formatRoute, parseRoute, VIEWS } from './route.ts';

test.each([
  ['', { view: 'map' }],
  ['#/', { view: 'map' }],
  ['#/peers', { view: 'peers' }],
  ['#/peers/worker-1', { view: 'peers', name: 'worker-1' }],
  ['#/peers/a%2Fb%3Fc%23d', { view: 'peers', name: 'a/b?c#d' }],
  ['#/peers?node=n2', { view: 'peers', node: 'n2' }],
  ['#/pods/worker-1', { view: 'pods' }],
  ['#/peers/%ff', { view: 'peers' }],
  ['#/constructor', { view: 'map' }],
  ['#nonsense', { view: 'map' }],
] as const)('%s is %j', (hash, route) => {
  expect(parseRoute(hash)).toEqual(route);
});

test('a route comes back as it was, whatever the name', () => {
  const name = fc
    .array(fc.integer({ min: 0, max: 0x10_ff_ff }), { minLength: 1 })
    .map((codes) => String.fromCodePoint(...codes).toWellFormed());
  fc.assert(
    fc.property(fc.constantFrom(...VIEWS), fc.option(name), fc.option(name), (view, peer, node) => {
      const named = peer !== null && (view === 'map' || view === 'peers') ? { name: peer } : {};
      const route = { view, ...named, ...(node === null ? {} : { node }) };
      expect(parseRoute(formatRoute(route))).toEqual(route);
    }),
  );
});

test('half a character is no reason to fail', () => {
  expect(formatRoute({ view: 'peers', name: '\ud800' })).toBe('#/peers/%EF%BF%BD');
});
