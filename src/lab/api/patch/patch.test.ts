import { describe, expect, test } from 'bun:test';
import type { Json } from '../object.ts';
import { resourceOf } from '../store.ts';
import { jsonPatch } from './json-patch.ts';
import { mergePatch } from './merge.ts';
import { strategicMerge } from './strategic.ts';

const node = resourceOf('nodes').schema;
const pod = resourceOf('pods').schema;

describe('JSON merge patch', () => {
  // RFC 7386 appendix A.
  const cases: [Json, Json, Json][] = [
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [
      ['a', 'b'],
      ['c', 'd'],
      ['c', 'd'],
    ],
    [{ a: 'b' }, ['c'], ['c']],
    [{ a: 'foo' }, null, null],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: 'b', c: null }, { a: 'b' }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ];
  test.each(cases)('%j with %j gives %j', (target, patch, result) => {
    expect(mergePatch(target, patch)).toEqual(result);
  });

  test('a key __proto__ stays data', () => {
    const result = mergePatch({}, JSON.parse('{"a":{"__proto__":{"evil":1}}}') as Json);
    expect(JSON.stringify(result)).toBe('{"a":{"__proto__":{"evil":1}}}');
    expect(Object.getPrototypeOf((result as { a: object }).a)).toBe(Object.prototype);
  });
});

describe('JSON patch', () => {
  // RFC 6902 appendix A.
  const cases: [string, Json, Json, Json][] = [
    ['add a member', { foo: 'bar' }, [{ op: 'add', path: '/baz', value: 'qux' }], { foo: 'bar', baz: 'qux' }],
    [
      'add an element',
      { foo: ['bar', 'baz'] },
      [{ op: 'add', path: '/foo/1', value: 'qux' }],
      { foo: ['bar', 'qux', 'baz'] },
    ],
    ['append', { foo: ['bar'] }, [{ op: 'add', path: '/foo/-', value: ['a'] }], { foo: ['bar', ['a']] }],
    ['remove a member', { baz: 'qux', foo: 'bar' }, [{ op: 'remove', path: '/baz' }], { foo: 'bar' }],
    [
      'remove an element',
      { foo: ['bar', 'qux', 'baz'] },
      [{ op: 'remove', path: '/foo/1' }],
      { foo: ['bar', 'baz'] },
    ],
    ['replace', { baz: 'qux' }, [{ op: 'replace', path: '/baz', value: 'boo' }], { baz: 'boo' }],
    ['replace all', { baz: 'qux' }, [{ op: 'replace', path: '', value: 7 }], 7],
    [
      'move',
      { foo: { bar: 1, waldo: 2 }, qux: {} },
      [{ op: 'move', from: '/foo/waldo', path: '/qux/thud' }],
      { foo: { bar: 1 }, qux: { thud: 2 } },
    ],
    [
      'move an element',
      { foo: [1, 2, 3, 4] },
      [{ op: 'move', from: '/foo/1', path: '/foo/3' }],
      { foo: [1, 3, 4, 2] },
    ],
    ['copy', { a: { b: 1 } }, [{ op: 'copy', from: '/a', path: '/c' }], { a: { b: 1 }, c: { b: 1 } }],
    [
      'escapes',
      { '/': 9, '~1': 10 },
      [
        { op: 'test', path: '/~01', value: 10 },
        { op: 'remove', path: '/~1' },
      ],
      { '~1': 10 },
    ],
  ];
  test.each(cases)('%s', (_name, document, patch, result) => {
    const before = JSON.stringify(document);
    expect(jsonPatch(document, patch)).toEqual(result);
    expect(JSON.stringify(document)).toBe(before);
  });

  const refused: [string, Json, Json, number][] = [
    ['a failed test', { a: 1 }, [{ op: 'test', path: '/a', value: '1' }], 422],
    ['a missing parent', {}, [{ op: 'add', path: '/a/b', value: 1 }], 422],
    ['a missing member', {}, [{ op: 'remove', path: '/a' }], 422],
    ['replacing what is not there', {}, [{ op: 'replace', path: '/a', value: 1 }], 422],
    ['an index past the end', { a: [1] }, [{ op: 'add', path: '/a/2', value: 1 }], 422],
    ['a leading zero', { a: [1, 2] }, [{ op: 'remove', path: '/a/01' }], 422],
    ['a move into itself', { a: { b: 1 } }, [{ op: 'move', from: '/a', path: '/a/b' }], 422],
    ['the prototype', {}, [{ op: 'add', path: '/__proto__/evil', value: 1 }], 422],
    ['an unknown operation', {}, [{ op: 'spoil', path: '/a' }], 400],
    ['no value', {}, [{ op: 'add', path: '/a' }], 400],
    ['no list', {}, { op: 'add' }, 400],
    ['a relative pointer', {}, [{ op: 'remove', path: 'a' }], 400],
  ];
  test.each(refused)('refuses %s', (_name, document, patch, code) => {
    expect(() => jsonPatch(document, patch)).toThrow(expect.objectContaining({ code }));
  });
});

describe('strategic merge patch', () => {
  const conditions = [
    { type: 'Ready', status: 'True', reason: 'KubeletReady' },
    { type: 'DiskPressure', status: 'False' },
  ];

  test('merges conditions and addresses by type', () => {
    const target = { status: { conditions, addresses: [{ type: 'InternalIP', address: '192.0.2.1' }] } };
    const patch = {
      status: {
        conditions: [
          { type: 'NetworkUnavailable', status: 'False' },
          { type: 'Ready', status: 'False' },
        ],
        addresses: [{ type: 'InternalIP', address: '192.0.2.9' }],
      },
    };
    expect(strategicMerge(target, patch, node)).toEqual({
      status: {
        conditions: [
          { type: 'Ready', status: 'False', reason: 'KubeletReady' },
          { type: 'DiskPressure', status: 'False' },
          { type: 'NetworkUnavailable', status: 'False' },
        ],
        addresses: [{ type: 'InternalIP', address: '192.0.2.9' }],
      },
    });
    expect(target.status.conditions).toBe(conditions);
    expect(conditions[0]).toEqual({ type: 'Ready', status: 'True', reason: 'KubeletReady' });
  });

  test('maps merge, null deletes, nested nulls of new members vanish', () => {
    const target = { metadata: { annotations: { a: '1', b: '2' } } };
    const patch = { metadata: { annotations: { a: null, c: '3' }, labels: { x: null, y: 'z' } } };
    expect(strategicMerge(target, patch, node)).toEqual({
      metadata: { annotations: { b: '2', c: '3' }, labels: { y: 'z' } },
    });
  });

  test('podCIDRs is a set; taints and images are replaced as a whole', () => {
    const target = {
      spec: { podCIDRs: ['10.0.0.0/24'], taints: [{ key: 'a' }] },
      status: { images: [{ names: ['a'] }] },
    };
    const patch = {
      spec: { podCIDRs: ['fd00::/64', '10.0.0.0/24'], taints: [{ key: 'b' }] },
      status: { images: [] },
    };
    expect(strategicMerge(target, patch, node)).toEqual({
      spec: { podCIDRs: ['10.0.0.0/24', 'fd00::/64'], taints: [{ key: 'b' }] },
      status: { images: [] },
    });
  });

  test('$patch deletes an item or replaces a list or a map', () => {
    const gone = { status: { conditions: [{ type: 'Ready', $patch: 'delete' }] } };
    expect(strategicMerge({ status: { conditions } }, gone, node)).toEqual({
      status: { conditions: [conditions[1] ?? {}] },
    });
    const all = { status: { conditions: [{ $patch: 'replace' }, { type: 'X', status: 'True' }] } };
    expect(strategicMerge({ status: { conditions } }, all, node)).toEqual({
      status: { conditions: [{ type: 'X', status: 'True' }] },
    });
    const map = { metadata: { labels: { $patch: 'replace', only: 'this' } } };
    expect(strategicMerge({ metadata: { labels: { a: 'b' } } }, map, node)).toEqual({
      metadata: { labels: { only: 'this' } },
    });
  });

  test('$setElementOrder moves items, also without a change; unknown ones keep their place', () => {
    const target = { status: { conditions: [{ type: 'A' }, { type: 'Server' }, { type: 'B' }] } };
    const patch = {
      status: {
        '$setElementOrder/conditions': [{ type: 'B' }, { type: 'A' }, { type: 'C' }],
        conditions: [{ type: 'C' }],
      },
    };
    expect(strategicMerge(target, patch, node)).toEqual({
      status: { conditions: [{ type: 'Server' }, { type: 'B' }, { type: 'A' }, { type: 'C' }] },
    });
  });

  test('$deleteFromPrimitiveList and $retainKeys', () => {
    const list = { metadata: { '$deleteFromPrimitiveList/finalizers': ['a'], finalizers: ['c'] } };
    expect(strategicMerge({ metadata: { finalizers: ['a', 'b'] } }, list, node)).toEqual({
      metadata: { finalizers: ['b', 'c'] },
    });
    const volume = {
      spec: { volumes: [{ name: 'v', $retainKeys: ['name', 'hostPath'], hostPath: { path: '/run' } }] },
    };
    expect(strategicMerge({ spec: { volumes: [{ name: 'v', emptyDir: {} }] } }, volume, pod)).toEqual({
      spec: { volumes: [{ name: 'v', hostPath: { path: '/run' } }] },
    });
  });

  test('merges environment inside a container by name', () => {
    const target = { spec: { containers: [{ name: 'c', image: 'a', env: [{ name: 'X', value: '1' }] }] } };
    const patch = { spec: { containers: [{ name: 'c', env: [{ name: 'Y', value: '2' }] }] } };
    expect(strategicMerge(target, patch, pod)).toEqual({
      spec: {
        containers: [
          {
            name: 'c',
            image: 'a',
            env: [
              { name: 'X', value: '1' },
              { name: 'Y', value: '2' },
            ],
          },
        ],
      },
    });
  });

  test.each([
    [{ status: { conditions: [{ status: 'True' }] } }],
    [{ status: { conditions: ['Ready'] } }],
    [{ $patch: 'spoil' }],
    [{ metadata: { '$setElementOrder/finalizers': 'a' } }],
  ])('refuses %j', (patch) => {
    expect(() => strategicMerge({ status: { conditions } }, patch, node)).toThrow(
      expect.objectContaining({ code: 400 }),
    );
  });
});
