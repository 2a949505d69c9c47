import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { cut, visible } from './visible.ts';

test.each([
  ['worker-1', 'worker-1'],
  ['노드-서울', '노드-서울'],
  ['قلعة', 'قلعة'],
  ['a\u202eb', 'a⟨U+202E⟩b'],
  ['a\u2066b\u2069', 'a⟨U+2066⟩b⟨U+2069⟩'],
  ['a\u200bb\ufeff', 'a⟨U+200B⟩b⟨U+FEFF⟩'],
  ['line\nbreak\0', 'line⟨U+000A⟩break⟨U+0000⟩'],
  ['\u2028\u3164', '⟨U+2028⟩⟨U+3164⟩'],
  ['\ud800', '⟨U+D800⟩'],
  ['\u{e0041}', '⟨U+E0041⟩'],
  ['<b>', '<b>'],
])('%j is shown as %s', (text, shown) => {
  expect(visible(text)).toBe(shown);
});

test('a few combining marks are a letter, a tower of them is not', () => {
  expect(visible('e\u0301')).toBe('e\u0301');
  expect(visible(`a${'\u0335'.repeat(40)}b`)).toBe(`a${'\u0335'.repeat(4)}⟨U+0335⟩b`);
});

const anything = fc
  .array(fc.integer({ min: 0, max: 0x10_ff_ff }), { maxLength: 300 })
  .map((codes) => String.fromCodePoint(...codes));

test('what is shown holds nothing that hides or turns, however it is cut', () => {
  fc.assert(
    fc.property(anything, fc.integer({ min: 1, max: 80 }), (text, max) => {
      const shown = cut(text, max);
      expect(Array.from(shown).length).toBeLessThanOrEqual(max);
      expect(shown).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
      expect(visible(shown)).toBe(shown);
    }),
  );
});

test('a long name keeps both ends', () => {
  expect(cut('worker-pool-a-europe-west-0017', 16)).toBe('worker-poo…-0017');
  expect(cut('a'.repeat(1e6), 9)).toBe('aaaaaa…aa');
  expect(cut('short', 5)).toBe('short');
});
