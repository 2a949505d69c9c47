import { DecodeError } from '#base/errors.ts';

/**
 * The JSON form of etcd's messages (etcd 3.4 `Documentation/dev-guide/api_grpc_gateway.md`, `rpc.proto`, `kv.proto`): bytes as base64,
 * int64 as decimal text, fields with their default value left out.
 */
export interface KeyValue {
  readonly key: string;
  readonly value: string;
  /** 0 when the key has no lease. Signed 64 bit. */
  readonly lease: bigint;
  readonly modRevision: bigint;
}

export interface KvEvent {
  readonly type: 'put' | 'delete';
  readonly kv: KeyValue;
}

export interface WatchMessage {
  readonly created: boolean;
  readonly canceled: boolean;
  /** Above 0 when the watch asked for what is compacted away. */
  readonly compactRevision: bigint;
  readonly cancelReason: string;
  readonly events: readonly KvEvent[];
}

export interface RangeAnswer {
  readonly kvs: readonly KeyValue[];
  readonly more: boolean;
  readonly revision: bigint;
}

export type Json = Readonly<Record<string, unknown>>;

export function toBase64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64');
}

/** The first key behind all that begin with `prefix`: for `range_end`. ASCII prefixes only. */
export function prefixEnd(prefix: string): string {
  return prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
}

/** A JSON object, or DecodeError. */
export function objectOf(value: unknown, path: string): Json {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Json;
  throw new DecodeError(path, 0, `is ${value === null ? 'null' : typeof value}, not an object`);
}

function arrayOf(value: unknown, path: string): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value;
  throw new DecodeError(path, 0, `is ${typeof value}, not an array`);
}

/** A decimal int64; missing is 0. */
export function int64(value: unknown, path: string): bigint {
  if (value === undefined || value === null) return 0n;
  if (typeof value === 'string' && /^-?\d{1,19}$/.test(value)) return BigInt(value);
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value);
  throw new DecodeError(path, 0, 'is not a 64-bit integer');
}

function base64Text(value: unknown, path: string): string {
  if (value === undefined || value === null) return '';
  if (typeof value !== 'string' || !/^[A-Za-z0-9+/]*={0,2}$/.test(value)) {
    throw new DecodeError(path, 0, 'is not base64');
  }
  return Buffer.from(value, 'base64').toString('utf8');
}

export function decodeKeyValue(value: unknown, path: string): KeyValue {
  const kv = objectOf(value, path);
  return {
    key: base64Text(kv['key'], `${path}.key`),
    value: base64Text(kv['value'], `${path}.value`),
    lease: int64(kv['lease'], `${path}.lease`),
    modRevision: int64(kv['mod_revision'], `${path}.mod_revision`),
  };
}

export function decodeRange(value: unknown, path = 'range'): RangeAnswer {
  const answer = objectOf(value, path);
  const header = objectOf(answer['header'], `${path}.header`);
  return {
    kvs: arrayOf(answer['kvs'], `${path}.kvs`).map((each, at) => decodeKeyValue(each, `${path}.kvs[${at}]`)),
    more: answer['more'] === true,
    revision: int64(header['revision'], `${path}.header.revision`),
  };
}

export function decodeWatch(value: unknown): WatchMessage {
  const path = 'watch';
  const message = objectOf(value, path);
  const events = arrayOf(message['events'], `${path}.events`);
  return {
    created: message['created'] === true,
    canceled: message['canceled'] === true,
    compactRevision: int64(message['compact_revision'], `${path}.compact_revision`),
    cancelReason: typeof message['cancel_reason'] === 'string' ? message['cancel_reason'].slice(0, 200) : '',
    events: events.map((each, at) => decodeEvent(each, `${path}.events[${at}]`)),
  };
}

function decodeEvent(value: unknown, path: string): KvEvent {
  const event = objectOf(value, path);
  const type = event['type'];
  if (type !== undefined && type !== 'PUT' && type !== 'DELETE' && type !== 0 && type !== 1) {
    throw new DecodeError(`${path}.type`, 0, 'is neither PUT nor DELETE');
  }
  return {
    type: type === 'DELETE' || type === 1 ? 'delete' : 'put',
    kv: decodeKeyValue(event['kv'], `${path}.kv`),
  };
}

/** What an error answer says: `{"error","message","code"}`, inside a stream `{"grpc_code","message"}`. */
export function decodeError(value: unknown): { readonly code: number; readonly message: string } {
  const table = typeof value === 'object' && value !== null ? (value as Json) : {};
  const code = table['code'] ?? table['grpc_code'];
  const message = table['message'] ?? table['error'];
  return {
    code: typeof code === 'number' && Number.isInteger(code) ? code : 0,
    message: typeof message === 'string' ? message : '',
  };
}
