import { expect, test } from 'bun:test';
import { episodes } from './timeline.ts';

const repair = (at: number, kind: string, count = 1) => ({
  at,
  counts: { [kind]: count },
  what: `${kind} ${at}`,
});

test('what happened together is one episode, the newest first', () => {
  const found = episodes([
    repair(0, 'link'),
    repair(500_000, 'route', 2),
    repair(530_000, 'fdb'),
    repair(560_000, 'route'),
  ]);
  expect(found.map(({ from, to, counts }) => ({ from, to, counts }))).toEqual([
    {
      from: 500_000,
      to: 560_000,
      counts: [
        ['route', 3],
        ['fdb', 1],
      ],
    },
    { from: 0, to: 0, counts: [['link', 1]] },
  ]);
  expect(found[0]?.repairs.map(({ at }) => at)).toEqual([560_000, 530_000, 500_000]);
});

test('the order in which they are told does not matter; none is none', () => {
  expect(episodes([])).toEqual([]);
  expect(episodes([repair(9, 'link'), repair(3, 'link')])[0]?.from).toBe(3);
});

test('a kind may have any name', () => {
  expect(
    episodes([repair(1, '__proto__'), repair(1, 'constructor')])[0]?.counts.map(([kind]) => kind),
  ).toContain('constructor');
});
