import { expect, test } from 'bun:test';
import { en } from './en.ts';
import { ko } from './ko.ts';
import { chooseLanguage, nextLanguage } from './languages.ts';

test.each([
  [null, ['ko-KR', 'en'], 'ko'],
  [null, ['fr-FR', 'ko'], 'ko'],
  [null, ['fr', 'de'], 'en'],
  ['en', ['ko'], 'en'],
  ['klingon', ['KO-kr'], 'ko'],
  [null, [], 'en'],
] as const)('kept %p, wanted %p: %s', (kept, wanted, chosen) => {
  expect(chooseLanguage(kept, wanted)).toBe(chosen);
});

test('the switch goes around', () => {
  expect(nextLanguage('en')).toBe('ko');
  expect(nextLanguage('ko')).toBe('en');
});

/** Paths of all texts with what they say when each parameter is a mark. */
function texts(table: object, path = ''): [string, string][] {
  return Object.entries(table).flatMap(([key, value]): [string, string][] => {
    const at = `${path}.${key}`;
    if (typeof value === 'function') {
      const say = value as (...words: string[]) => string;
      const marks = Array.from({ length: say.length }, (_, i) => `⟪${i}⟫`);
      return [[at, say(...marks)]];
    }
    return typeof value === 'string' ? [[at, value]] : texts(value as object, at);
  });
}

test('both tables say something everywhere, with the same parameters', () => {
  const korean = new Map(texts(ko));
  const english = texts(en);
  expect([...korean.keys()].toSorted()).toEqual(english.map(([path]) => path).toSorted());
  for (const [path, text] of english) {
    const other = korean.get(path) ?? '';
    expect(text.trim()).not.toBe('');
    expect(other.trim()).not.toBe('');
    const marks = (of: string) => [...of.matchAll(/⟪\d⟫/g)].map(String).toSorted();
    expect([path, marks(other)]).toEqual([path, marks(text)]);
  }
});

test('the Korean table is Korean', () => {
  const same = texts(ko).filter(([path, text]) =>
    texts(en).some(([at, other]) => at === path && other === text),
  );
  // Names of things that have no other name.
  for (const [, text] of same)
    expect(text).toMatch(/^(flannel|⟪.*|MTU|MAC|VTEP MAC|veth|nftables|iptables|sysctl|FDB)$/);
});
