import { shape, type Shape } from './encode.ts';

/** `k8s.io/apimachinery/pkg/apis/meta/v1` and `k8s.io/api/core/v1`, generated.proto, messages by the same names. */
const OWNER_REFERENCE = shape([
  [1, 'kind', 'string'],
  [3, 'name', 'string'],
  [4, 'uid', 'string'],
  [5, 'apiVersion', 'string'],
  [6, 'controller', 'bool'],
  [7, 'blockOwnerDeletion', 'bool'],
]);

const MANAGED_FIELDS_ENTRY = shape([
  [1, 'manager', 'string'],
  [2, 'operation', 'string'],
  [3, 'apiVersion', 'string'],
  [4, 'time', 'time'],
  [6, 'fieldsType', 'string'],
  [7, 'fieldsV1', 'json'],
  [8, 'subresource', 'string'],
]);

const OBJECT_META = shape([
  [1, 'name', 'string'],
  [2, 'generateName', 'string'],
  [3, 'namespace', 'string'],
  [4, 'selfLink', 'string'],
  [5, 'uid', 'string'],
  [6, 'resourceVersion', 'string'],
  [7, 'generation', 'int'],
  [8, 'creationTimestamp', 'time'],
  [9, 'deletionTimestamp', 'time'],
  [10, 'deletionGracePeriodSeconds', 'int'],
  [11, 'labels', { map: 'string' }],
  [12, 'annotations', { map: 'string' }],
  [13, 'ownerReferences', { list: OWNER_REFERENCE }],
  [14, 'finalizers', { list: 'string' }],
  [17, 'managedFields', { list: MANAGED_FIELDS_ENTRY }],
]);

export const LIST_META: Shape = shape([
  [1, 'selfLink', 'string'],
  [2, 'resourceVersion', 'string'],
  [3, 'continue', 'string'],
  [4, 'remainingItemCount', 'int'],
]);

const STATUS_CAUSE = shape([
  [1, 'reason', 'string'],
  [2, 'message', 'string'],
  [3, 'field', 'string'],
]);

export const STATUS: Shape = shape([
  [1, 'metadata', LIST_META],
  [2, 'status', 'string'],
  [3, 'message', 'string'],
  [4, 'reason', 'string'],
  [
    5,
    'details',
    shape([
      [1, 'name', 'string'],
      [2, 'group', 'string'],
      [3, 'kind', 'string'],
      [4, 'causes', { list: STATUS_CAUSE }],
      [5, 'retryAfterSeconds', 'int'],
      [6, 'uid', 'string'],
    ]),
  ],
  [6, 'code', 'int'],
]);

const TAINT = shape([
  [1, 'key', 'string'],
  [2, 'value', 'string'],
  [3, 'effect', 'string'],
  [4, 'timeAdded', 'time'],
]);

const NODE_SPEC = shape([
  [1, 'podCIDR', 'string'],
  [2, 'externalID', 'string'],
  [3, 'providerID', 'string'],
  [4, 'unschedulable', 'bool'],
  [5, 'taints', { list: TAINT }],
  [7, 'podCIDRs', { list: 'string' }],
]);

const NODE_CONDITION = shape([
  [1, 'type', 'string'],
  [2, 'status', 'string'],
  [3, 'lastHeartbeatTime', 'time'],
  [4, 'lastTransitionTime', 'time'],
  [5, 'reason', 'string'],
  [6, 'message', 'string'],
]);

const NODE_SYSTEM_INFO = shape([
  [1, 'machineID', 'string'],
  [2, 'systemUUID', 'string'],
  [3, 'bootID', 'string'],
  [4, 'kernelVersion', 'string'],
  [5, 'osImage', 'string'],
  [6, 'containerRuntimeVersion', 'string'],
  [7, 'kubeletVersion', 'string'],
  [8, 'kubeProxyVersion', 'string'],
  [9, 'operatingSystem', 'string'],
  [10, 'architecture', 'string'],
]);

const pair = (first: string, second: string): Shape =>
  shape([
    [1, first, 'string'],
    [2, second, 'string'],
  ]);

const CONTAINER_IMAGE = shape([
  [1, 'names', { list: 'string' }],
  [2, 'sizeBytes', 'int'],
]);

const NODE_STATUS = shape([
  [1, 'capacity', { map: 'quantity' }],
  [2, 'allocatable', { map: 'quantity' }],
  [3, 'phase', 'string'],
  [4, 'conditions', { list: NODE_CONDITION }],
  [5, 'addresses', { list: pair('type', 'address') }],
  [6, 'daemonEndpoints', shape([[1, 'kubeletEndpoint', shape([[1, 'Port', 'int']])]])],
  [7, 'nodeInfo', NODE_SYSTEM_INFO],
  [8, 'images', { list: CONTAINER_IMAGE }],
  [9, 'volumesInUse', { list: 'string' }],
  [10, 'volumesAttached', { list: pair('name', 'devicePath') }],
]);

const NODE = shape([
  [1, 'metadata', OBJECT_META],
  [2, 'spec', NODE_SPEC],
  [3, 'status', NODE_STATUS],
]);

/** The kinds that this server has in protobuf, by name. */
export const SHAPES: ReadonlyMap<string, Shape> = new Map([
  ['Node', NODE],
  ['Status', STATUS],
]);
