import { ALL, members, type Selection } from '#clients/k8s/selection.ts';
import { OBJECT_META } from '#clients/k8s/protobuf-shapes.ts';
import type { MessageShape } from '#clients/k8s/protobuf.ts';
import type { AnnotationKeys } from './annotations.ts';

/** What the manager reads of a Node: everything here is untrusted text. */
export interface NodeView {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  /** Our annotations only, by full key. */
  readonly annotations: ReadonlyMap<string, string>;
  /** `spec.podCIDRs`, else `spec.podCIDR` as the only entry. */
  readonly podCidrs: readonly string[];
}

/** Longest annotation value that is looked at, characters. */
export const MAX_ANNOTATION = 4096;

/** Of a Node of 18 KB this keeps about 500 bytes. */
export function nodeSelection(keys: AnnotationKeys): Selection {
  const annotations: Selection = {
    kind: 'members',
    member: (key) => (key.startsWith(keys.prefix) ? ALL : undefined),
  };
  return members({
    metadata: members({ name: ALL, uid: ALL, resourceVersion: ALL, annotations }),
    spec: members({ podCIDR: ALL, podCIDRs: ALL }),
  });
}

/** Messages Node and NodeSpec of `k8s.io/api/core/v1` generated.proto, as far as `nodeSelection` keeps them. */
export const NODE_SHAPE: MessageShape = {
  1: ['metadata', OBJECT_META],
  2: ['spec', { 1: ['podCIDR', 'string'], 7: ['podCIDRs', 'strings'] }],
};

/** Reads what `nodeSelection` kept; undefined when it is no Node with a usable name. */
export function parseNode(value: unknown): NodeView | undefined {
  const metadata = table(table(value)?.metadata);
  const name = metadata?.name;
  if (metadata === undefined || typeof name !== 'string' || !isNodeName(name)) return undefined;
  const spec = table(table(value)?.spec);
  return {
    name,
    uid: text(metadata.uid),
    resourceVersion: text(metadata.resourceVersion),
    annotations: annotationsOf(metadata.annotations),
    podCidrs: podCidrsOf(spec?.podCIDRs, spec?.podCIDR),
  };
}

/** RFC 1123 subdomain of at most 253 characters, as the API demands of a Node's name. */
export function isNodeName(name: string): boolean {
  return name.length <= 253 && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(name);
}

function annotationsOf(value: unknown): ReadonlyMap<string, string> {
  const map = new Map<string, string>();
  for (const [key, entry] of Object.entries(table(value) ?? {})) {
    if (typeof entry === 'string') map.set(key, entry);
  }
  return map;
}

function podCidrsOf(list: unknown, single: unknown): readonly string[] {
  const many = Array.isArray(list) ? list.filter((entry) => typeof entry === 'string' && entry !== '') : [];
  if (many.length > 0) return many as string[];
  return typeof single === 'string' && single !== '' ? [single] : [];
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function table(value: unknown): Record<string, unknown> | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return value as Record<string, unknown>;
}
