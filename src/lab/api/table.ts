import { isObject, textAt, valueAt, type Json, type JsonObject, type KubeObject } from './object.ts';
import type { Resource } from './resources.ts';

/** A column of `kubectl get`. */
interface Column {
  readonly name: string;
  /** Shown only with `-o wide`. */
  readonly wide?: true;
  readonly cell: (object: KubeObject, now: number) => Json;
}

const text =
  (path: string, absent = '<none>') =>
  (object: KubeObject) => {
    const value = textAt(object, path) ?? '';
    return value === '' ? absent : value;
  };

function listAt(object: JsonObject, path: string): JsonObject[] {
  const value = valueAt(object, path);
  return Array.isArray(value) ? value.filter(isObject) : [];
}

/** The time since an RFC 3339 stamp in kubectl's short form, e.g. `5m12s`. */
export function age(since: Json | undefined, now: number): string {
  const start = typeof since === 'string' ? Date.parse(since) : Number.NaN;
  if (Number.isNaN(start)) return '<unknown>';
  const seconds = Math.max(0, Math.floor((now - start) / 1000));
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  if (seconds < 120) return `${seconds}s`;
  if (minutes < 10) return seconds % 60 === 0 ? `${minutes}m` : `${minutes}m${seconds % 60}s`;
  if (minutes < 180) return `${minutes}m`;
  if (hours < 8) return minutes % 60 === 0 ? `${hours}h` : `${hours}h${minutes % 60}m`;
  return hours < 48 ? `${hours}h` : `${Math.floor(hours / 24)}d`;
}

function nodeStatus(node: KubeObject): string {
  const ready = listAt(node, 'status.conditions').find((condition) => condition['type'] === 'Ready');
  const word = ready === undefined ? 'Unknown' : ready['status'] === 'True' ? 'Ready' : 'NotReady';
  return valueAt(node, 'spec.unschedulable') === true ? `${word},SchedulingDisabled` : word;
}

function nodeRoles(node: KubeObject): string {
  const prefix = 'node-role.kubernetes.io/';
  const roles = Object.keys(node.metadata.labels ?? {}).filter(
    (key) => key.startsWith(prefix) && key !== prefix,
  );
  return roles.length === 0
    ? '<none>'
    : roles
        .map((key) => key.slice(prefix.length))
        .sort()
        .join(',');
}

const nodeAddress = (type: string) => (node: KubeObject) => {
  const found = listAt(node, 'status.addresses').find((address) => address['type'] === type);
  return found?.['address'] ?? '<none>';
};

function podReady(pod: KubeObject): string {
  const ready = listAt(pod, 'status.containerStatuses').filter((container) => container['ready'] === true);
  return `${ready.length}/${listAt(pod, 'spec.containers').length}`;
}

function podRestarts(pod: KubeObject): string {
  const counts = listAt(pod, 'status.containerStatuses').map((container) =>
    Number(container['restartCount'] ?? 0),
  );
  return String(counts.reduce((sum, count) => sum + count, 0));
}

const podStatus = (pod: KubeObject) =>
  pod.metadata.deletionTimestamp === undefined ? text('status.phase', 'Unknown')(pod) : 'Terminating';

const NAME: Column = { name: 'Name', cell: (object) => object.metadata.name };
const AGE: Column = { name: 'Age', cell: (object, now) => age(object.metadata.creationTimestamp, now) };

const COLUMNS: Partial<Record<string, readonly Column[]>> = {
  nodes: [
    NAME,
    { name: 'Status', cell: nodeStatus },
    { name: 'Roles', cell: nodeRoles },
    AGE,
    { name: 'Version', cell: text('status.nodeInfo.kubeletVersion', '') },
    { name: 'Internal-IP', wide: true, cell: nodeAddress('InternalIP') },
    { name: 'External-IP', wide: true, cell: nodeAddress('ExternalIP') },
    { name: 'OS-Image', wide: true, cell: text('status.nodeInfo.osImage', '<unknown>') },
    { name: 'Kernel-Version', wide: true, cell: text('status.nodeInfo.kernelVersion', '<unknown>') },
    {
      name: 'Container-Runtime',
      wide: true,
      cell: text('status.nodeInfo.containerRuntimeVersion', '<unknown>'),
    },
  ],
  pods: [
    NAME,
    { name: 'Ready', cell: podReady },
    { name: 'Status', cell: podStatus },
    { name: 'Restarts', cell: podRestarts },
    AGE,
    { name: 'IP', wide: true, cell: text('status.podIP') },
    { name: 'Node', wide: true, cell: text('spec.nodeName') },
    { name: 'Nominated Node', wide: true, cell: text('status.nominatedNodeName') },
    { name: 'Readiness Gates', wide: true, cell: () => '<none>' },
  ],
  namespaces: [NAME, { name: 'Status', cell: text('status.phase', '') }, AGE],
  events: [
    {
      name: 'Last Seen',
      cell: (event, now) => age(event['lastTimestamp'] ?? event.metadata.creationTimestamp, now),
    },
    { name: 'Type', cell: text('type', '') },
    { name: 'Reason', cell: text('reason', '') },
    {
      name: 'Object',
      cell: (event) =>
        `${text('involvedObject.kind', '')(event).toLowerCase()}/${text('involvedObject.name', '')(event)}`,
    },
    { name: 'Message', cell: text('message', '') },
  ],
  configmaps: [
    NAME,
    { name: 'Data', cell: (map) => String(Object.keys((map['data'] ?? {}) as JsonObject).length) },
    AGE,
  ],
  leases: [NAME, { name: 'Holder', cell: text('spec.holderIdentity', '') }, AGE],
};

export interface TableRequest {
  readonly resource: Resource;
  readonly objects: readonly KubeObject[];
  /** The list's metadata, or {}. */
  readonly metadata: JsonObject;
  /** `includeObject` of the query: what each row carries of its object. */
  readonly include: string;
  /** Wall clock, ms. */
  readonly now: number;
}

/** A `meta.k8s.io/v1 Table`, as `kubectl get` asks for. */
export function table(request: TableRequest): JsonObject {
  const columns = COLUMNS[request.resource.plural] ?? [NAME, AGE];
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: request.metadata,
    columnDefinitions: columns.map(({ name, wide }) => ({
      name,
      type: 'string',
      format: name === 'Name' ? 'name' : '',
      description: '',
      priority: wide === true ? 1 : 0,
    })),
    rows: request.objects.map((object) => ({
      cells: columns.map((column) => column.cell(object, request.now)),
      ...rowObject(object, request.include),
    })),
  };
}

function rowObject(object: KubeObject, include: string): JsonObject {
  if (include === 'None') return {};
  return { object: include === 'Object' ? object : partial(object) };
}

/** A `PartialObjectMetadata` of the object. */
export function partial(object: KubeObject): JsonObject {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: object.metadata };
}
