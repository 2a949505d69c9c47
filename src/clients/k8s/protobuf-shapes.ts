import type { MessageShape } from './protobuf.ts';

/** `k8s.io/apimachinery/pkg/apis/meta/v1` generated.proto, message ListMeta. */
export const LIST_META: MessageShape = {
  2: ['resourceVersion', 'string'],
  3: ['continue', 'string'],
};

/** Message ObjectMeta of the same file, without what nobody here reads. */
export const OBJECT_META: MessageShape = {
  1: ['name', 'string'],
  5: ['uid', 'string'],
  6: ['resourceVersion', 'string'],
  12: ['annotations', 'map'],
};

/** Message Status of the same file. */
export const STATUS: MessageShape = {
  3: ['message', 'string'],
  4: ['reason', 'string'],
  5: ['details', { 5: ['retryAfterSeconds', 'int'] }],
  6: ['code', 'int'],
};
