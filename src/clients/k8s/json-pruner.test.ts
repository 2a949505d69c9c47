import { expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { JsonPruner } from './json-pruner.ts';
import { ALL, JsonError, members, type Selection } from './selection.ts';

function prune(
  text: string,
  selection: Selection,
  cuts: readonly number[] = [],
): { values: unknown[]; items: unknown[] } {
  const values: unknown[] = [];
  const items: unknown[] = [];
  const onItem = (item: unknown) => void items.push(item);
  const pruner = new JsonPruner({
    selection,
    onItem,
    onValue: (value) => void values.push(value),
    maxKept: 1 << 20,
  });
  const bytes = new TextEncoder().encode(text);
  const ends = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  let from = 0;
  for (const end of ends) {
    pruner.push(bytes.subarray(from, end));
    from = end;
  }
  if (!pruner.complete()) throw new JsonError(bytes.length, 'cut off');
  return { values, items };
}

const node = members({ metadata: members({ name: ALL, annotations: ALL }), spec: ALL });
const list = members({ metadata: members({ continue: ALL }), items: { kind: 'each', item: node } });

test('keeps the selected members and emits items one by one', () => {
  const text = `{"kind":"NodeList","metadata":{"x":1,"continue":"c"},"items":[
    {"metadata":{"name":"a","labels":{"q":"}\\"]"},"annotations":null},"status":[1,{"a":[]}],"spec":{"podCIDR":"x"}},
    {"spec":12,"metadata":{"name":"b"}} , 7, [] ]}`;
  expect(prune(text, list)).toEqual({
    items: [
      { metadata: { name: 'a', annotations: null }, spec: { podCIDR: 'x' } },
      { spec: 12, metadata: { name: 'b' } },
      7,
      [],
    ],
    values: [{ metadata: { continue: 'c' }, items: [] }],
  });
});

test('reads several values, with and without white space', () => {
  expect(prune('{"spec":1}{"spec":2}\n[3] "4" 5', node).values).toEqual([
    { spec: 1 },
    { spec: 2 },
    [3],
    '4',
    5,
  ]);
});

test('keys are compared after their escapes are read', () => {
  expect(prune('{"\\u0073pec":1,"sp\\"ec":2}', node).values).toEqual([{ spec: 1 }]);
});

function reference(value: unknown, selection: Selection): unknown {
  if (selection.kind !== 'members' || typeof value !== 'object' || value === null || Array.isArray(value))
    return value;
  const out = Object.entries(value).flatMap(([key, entry]) => {
    const next = selection.member(key);
    return next === undefined ? [] : [[key, reference(entry, next)] as const];
  });
  return Object.fromEntries(out);
}

test('any JSON, cut anywhere, gives what parsing and picking gives', () => {
  const key = fc.oneof(
    fc.constantFrom('metadata', 'name', 'annotations', 'spec', 'items', 'continue'),
    fc.string(),
  );
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.string({ unit: 'binary' }),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.constantFrom(null, true, false, [], {}),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(key, tie('value'), { maxKeys: 5 }),
    ),
  }));
  fc.assert(
    fc.property(value, fc.array(fc.nat(), { maxLength: 6 }), fc.boolean(), (json, cuts, pretty) => {
      const text = JSON.stringify(json, null, pretty ? 2 : 0);
      const plain: unknown = JSON.parse(text);
      expect(prune(text, node, cuts).values).toEqual([reference(plain, node)]);
    }),
    { numRuns: 2000 },
  );
});

test('garbage is a JsonError and never anything else', () => {
  const selection = members({ metadata: ALL, items: { kind: 'each', item: node } });
  const seed = new TextEncoder().encode(
    '{"metadata":{"a":"\\u00e9"},"items":[{"spec":[1,2.5e3],"metadata":{"name":"x"}},null]}',
  );
  const edits = fc.array(fc.tuple(fc.nat(seed.length - 1), fc.integer({ min: 0, max: 255 })), {
    maxLength: 4,
  });
  fc.assert(
    fc.property(edits, fc.nat(seed.length), (changes, cut) => {
      const bytes = Uint8Array.from(seed);
      for (const [at, byte] of changes) bytes[at] = byte;
      const pruner = new JsonPruner({ selection, onValue: () => {} });
      try {
        pruner.push(bytes.subarray(0, cut));
        pruner.push(bytes.subarray(cut));
        pruner.complete();
      } catch (error) {
        expect(error).toBeInstanceOf(JsonError);
      }
    }),
    { numRuns: 5000 },
  );
});

test.each([
  '<html>',
  '{"spec" 1}',
  '{"spec":1',
  '{"spec":}',
  '{"spec":nul}',
  '{"spec":1]',
  '{spec:1}',
  ']',
  '{"spec":"\x80',
])('refuses %s', (text) => {
  expect(() => prune(text, node)).toThrow(JsonError);
});

test('what is kept is bounded', () => {
  const pruner = new JsonPruner({ selection: node, onValue: () => {}, maxKept: 1000 });
  const skipped = `{"status":"${'x'.repeat(5000)}","spec":"`;
  pruner.push(new TextEncoder().encode(skipped));
  expect(() => pruner.push(new TextEncoder().encode('y'.repeat(2000)))).toThrow('more than 1000 bytes');
});
