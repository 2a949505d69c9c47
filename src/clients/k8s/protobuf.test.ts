import { expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { LIST_BYTES, STATUS_BYTES, WATCH_BYTES } from './protobuf-fixtures.ts';
import { OBJECT_META, STATUS } from './protobuf-shapes.ts';
import { ProtobufList } from './protobuf-list.ts';
import { ProtobufWatch } from './protobuf-watch.ts';
import { decodeMessage, openEnvelope, ProtobufError, type MessageShape } from './protobuf.ts';
import { ALL, members, type Selection } from './selection.ts';

const NODE: MessageShape = {
  1: ['metadata', OBJECT_META],
  2: ['spec', { 1: ['podCIDR', 'string'], 7: ['podCIDRs', 'strings'] }],
};
const annotations: Selection = {
  kind: 'members',
  member: (key) => (key.startsWith('flannel') ? ALL : undefined),
};
const select = members({
  metadata: members({ name: ALL, uid: ALL, resourceVersion: ALL, annotations }),
  spec: ALL,
});

const N2 = {
  metadata: {
    name: 'n2',
    uid: 'u-2',
    resourceVersion: '41',
    annotations: { 'flannel.alpha.coreos.com/public-ip': '192.168.50.12' },
  },
  spec: { podCIDR: '10.244.2.0/24', podCIDRs: ['10.244.2.0/24', 'fd00:10:244:2::/64'] },
};
const N3 = { metadata: { name: 'n3' }, spec: { podCIDR: '' } };

/** The bytes in pieces that end at `cuts`. */
function pieces(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const ends = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  return ends.map((end, at) => bytes.slice(ends[at - 1] ?? 0, end));
}

function readList(chunks: readonly Uint8Array[], maxObject?: number) {
  const items: unknown[] = [];
  const onItem = (item: unknown) => void items.push(item);
  const list = new ProtobufList({ shape: NODE, select, onItem, ...(maxObject && { maxObject }) });
  for (const chunk of chunks) list.push(chunk);
  return { items, root: list.root, complete: list.complete() };
}

function readWatch(chunks: readonly Uint8Array[], maxObject?: number) {
  const events: unknown[] = [];
  const onValue = (event: unknown) => void events.push(event);
  const watch = new ProtobufWatch({ shape: NODE, select, onValue, ...(maxObject && { maxObject }) });
  for (const chunk of chunks) watch.push(chunk);
  return { events, complete: watch.complete() };
}

const LIST = {
  items: [N2, N3],
  root: { metadata: { resourceVersion: '77', continue: 'tok' }, items: [] },
  complete: true,
};
const ERROR = {
  type: 'ERROR',
  object: {
    message: 'too old resource version: 5 (9)',
    reason: 'Expired',
    details: { retryAfterSeconds: 3 },
    code: 410,
  },
};
const WATCH = { events: [{ type: 'MODIFIED', object: N2 }, ERROR], complete: true };

test('a list and a watch, cut anywhere, give the selected parts as JSON would', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(), { maxLength: 8 }), (cuts) => {
      expect(readList(pieces(LIST_BYTES, cuts))).toEqual(LIST);
      expect(readWatch(pieces(WATCH_BYTES, cuts))).toEqual(WATCH);
    }),
  );
  const single = (bytes: Uint8Array) => [...bytes].map((byte) => Uint8Array.of(byte));
  expect(readList(single(LIST_BYTES))).toEqual(LIST);
  expect(readWatch(single(WATCH_BYTES))).toEqual(WATCH);
});

test('a stream that stops anywhere is not complete', () => {
  for (let end = 0; end < LIST_BYTES.length; end += 1) {
    // The two fields of the envelope behind the list are optional: without them all is there.
    const whole = end === LIST_BYTES.length - 4 || end === LIST_BYTES.length - 2;
    expect([end, readList([LIST_BYTES.subarray(0, end)]).complete]).toEqual([end, whole]);
  }
  const first = 4 + 210;
  for (let end = 0; end < WATCH_BYTES.length; end += 1)
    expect([end, readWatch([WATCH_BYTES.subarray(0, end)]).complete]).toEqual([
      end,
      end === 0 || end === first,
    ]);
});

test('changed bytes are a ProtobufError or another value, and never anything else', () => {
  const edits = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), {
    minLength: 1,
    maxLength: 4,
  });
  fc.assert(
    fc.property(edits, fc.array(fc.nat(), { maxLength: 3 }), (changes, cuts) => {
      for (const [read, seed] of [
        [readList, LIST_BYTES],
        [readWatch, WATCH_BYTES],
      ] as const) {
        const bytes = Uint8Array.from(seed);
        for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
        try {
          read(pieces(bytes, cuts), 1000);
        } catch (error) {
          expect(error).toBeInstanceOf(ProtobufError);
        }
      }
    }),
    { numRuns: 3000 },
  );
});

const hex = (text: string) => Uint8Array.fromHex(text.replaceAll(' ', ''));
const MAGIC = '6b387300';

test.each([
  ['no magic', '7b22 6b69'],
  ['field 0', `${MAGIC} 0000`],
  ['a group', `${MAGIC} 0b 0c`],
  ['a tag without end', `${MAGIC} ${'ff'.repeat(11)}`],
  ['a field number beyond 29 bits', `${MAGIC} 82 80 80 80 80 01 00`],
  ['a list of 4 bytes whose item has 100', `${MAGIC} 1204 1264 0a00`],
  ['a list of 3 bytes whose item ends behind it', `${MAGIC} 1203 1202 0a00`],
  ['a kind of 1 TB', `${MAGIC} 0a 8080808080 20`],
  ['an item of 1 GB', `${MAGIC} 12 80808080 08 12 80808080 04`],
  ['a name that is a number', `${MAGIC} 1206 1204 0a02 0801`],
  ['a name that is not UTF-8', `${MAGIC} 1207 1205 0a03 0a01 ff`],
  ['a string that leads outside its message', `${MAGIC} 1206 1204 0a02 0a05`],
])('a list with %s is refused', (_, text) => {
  expect(() => readList([hex(text)])).toThrow(ProtobufError);
  expect(() => readList([...hex(text)].map((byte) => Uint8Array.of(byte)))).toThrow(ProtobufError);
});

test.each([
  ['an empty frame', '00000000'],
  ['a frame of 4 GB', 'ffffffff 00'],
  ['a frame without an object', '00000004 0a02 4f4b'],
  ['an object without its magic', '00000008 0a00 1204 0a02 0a00'],
  ['JSON', '7b2274797065223a'],
])('a watch with %s is refused', (_, text) => {
  expect(() => readWatch([hex(text)])).toThrow(ProtobufError);
});

test('a long promise takes no memory before its bytes come', () => {
  const before = process.memoryUsage().arrayBuffers;
  const lists = Array.from({ length: 50 }, () => {
    const list = new ProtobufList({ shape: NODE, select, onItem: () => {} });
    // A list of 8 MB with an item of 7 MB, of which there is one byte.
    list.push(hex(`${MAGIC} 12 80 a4 e8 03 12 c0 9f ab 03 0a`));
    return list;
  });
  expect(lists.map((list) => list.complete())).not.toContain(true);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 << 20);
});

test('unknown fields of every wire type are skipped; of a field that comes twice the last counts', () => {
  const shape: MessageShape = { 1: ['name', 'string'], 6: ['code', 'int'] };
  const bytes = hex(
    '0a 01 61  f8 07 96 01  f9 07 0102030405060708  fd 07 01020304  fa 07 02 ffff  30 9a 03  0a 01 62',
  );
  expect(decodeMessage(bytes, shape, ALL)).toEqual({ name: 'b', code: 410 });
  expect(decodeMessage(bytes, shape, members({ code: ALL }))).toEqual({ code: 410 });
});

test('a map with hostile keys is data', () => {
  const { annotations: map } = decodeMessage(
    // annotations: {"__proto__": "x", "a": ""}; the second entry has no value.
    hex('62 0e 0a09 5f5f70726f746f5f5f 1201 78  62 03 0a01 61'),
    OBJECT_META,
    ALL,
  ) as { annotations: Record<string, string> };
  expect(Object.entries(map)).toEqual([
    ['__proto__', 'x'],
    ['a', ''],
  ]);
});

test('a Status in its envelope', () => {
  const { kind, raw } = openEnvelope(STATUS_BYTES);
  expect(kind).toBe('Status');
  expect(decodeMessage(raw, STATUS, ALL)).toEqual(ERROR.object);
});
