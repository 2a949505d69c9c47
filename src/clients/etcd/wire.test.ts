import { describe, expect, test } from 'bun:test';
import { DecodeError } from '#base/errors.ts';
import { decodeError, decodeRange, decodeWatch, int64, prefixEnd, toBase64 } from './wire.ts';

// Captured from etcd 3.4.23 (Debian 12): curl -s http://127.0.0.1:2379/v3/kv/range -d '{"key":"…","range_end":"…"}'
const RANGE =
  '{"header":{"cluster_id":"14841639068965178418","member_id":"10276657743932975437","revision":"2","raft_term":"2"},"kvs":[{"key":"L2EvY29uZmln","create_revision":"2","mod_revision":"2","version":"1","value":"aGVsbG8="}],"count":"1"}';
const EMPTY =
  '{"header":{"cluster_id":"14841639068965178418","member_id":"10276657743932975437","revision":"2","raft_term":"2"}}';
const EVENT =
  '{"header":{"cluster_id":"14841639068965178418","member_id":"10276657743932975437","revision":"3","raft_term":"2"},"events":[{"kv":{"key":"L2EveA==","create_revision":"3","mod_revision":"3","version":"1","value":"eQ=="}}]}';
const COMPACTED =
  '{"header":{"cluster_id":"14841639068965178418","member_id":"10276657743932975437","raft_term":"2"},"canceled":true,"compact_revision":"3"}';

test('a range', () => {
  const kv = { key: '/a/config', value: 'hello', lease: 0n, modRevision: 2n };
  expect(decodeRange(JSON.parse(RANGE))).toEqual({ kvs: [kv], more: false, revision: 2n });
  expect(decodeRange(JSON.parse(EMPTY))).toEqual({ kvs: [], more: false, revision: 2n });
});

test('a watch: events, and the end of history', () => {
  const kv = { key: '/a/x', value: 'y', lease: 0n, modRevision: 3n };
  expect(decodeWatch(JSON.parse(EVENT))).toMatchObject({ events: [{ type: 'put', kv }], canceled: false });
  const deleted = { header: {}, events: [{ type: 'DELETE', kv: { key: 'L2EveA==', mod_revision: '9' } }] };
  expect(decodeWatch(deleted).events).toEqual([
    { type: 'delete', kv: { key: '/a/x', value: '', lease: 0n, modRevision: 9n } },
  ]);
  expect(decodeWatch(JSON.parse(COMPACTED))).toMatchObject({ canceled: true, compactRevision: 3n });
});

test('lease numbers are 64 bits, with a sign', () => {
  expect(int64('7587899087248564744', 'x')).toBe(7587899087248564744n);
  expect(int64('-1', 'x')).toBe(-1n);
  expect(int64(undefined, 'x')).toBe(0n);
});

describe('what is none of it', () => {
  test.each([undefined, null, 7, [[]], {}, { header: {}, kvs: {} }, { header: {}, kvs: [7] }])(
    'range %j',
    (value) => {
      expect(() => decodeRange(value)).toThrow(DecodeError);
    },
  );
  test.each([
    { header: {}, kvs: [{ key: 'not base64!' }] },
    { header: {}, kvs: [{ key: 'YQ==', lease: '99999999999999999999' }] },
    { header: { revision: 1.5 } },
  ])('fields %j', (value) => {
    expect(() => decodeRange(value)).toThrow(DecodeError);
  });
  test('an event of an unknown kind', () => {
    expect(() => decodeWatch({ events: [{ type: 'MOVE', kv: {} }] })).toThrow(DecodeError);
  });
});

test('the error answers of 3.4 and of later gateways, and a page that is none', () => {
  expect(decodeError({ error: 'a', message: 'b', code: 3 })).toEqual({ code: 3, message: 'b' });
  expect(decodeError({ grpc_code: 14, http_code: 503, message: 'c' })).toEqual({ code: 14, message: 'c' });
  expect(decodeError(undefined)).toEqual({ code: 0, message: '' });
});

test('the end of a prefix', () => {
  expect(prefixEnd('/a/')).toBe('/a0');
  expect(toBase64('/a/')).toBe('L2Ev');
});
