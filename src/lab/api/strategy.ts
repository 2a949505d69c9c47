import { isObject, valueAt, type Json, type KubeObject } from './object.ts';
import type { Resource } from './resources.ts';
import { invalid } from './status.ts';

/** What a resource's own rules make of a new object. Source: `pkg/registry/core/<resource>/strategy.go`. */
export function prepareCreate(object: KubeObject, resource: Resource): KubeObject {
  switch (resource.plural) {
    case 'nodes':
      // A Node may be created with its status: the kubelet registers so.
      return withPodCidrs(object, resource);
    case 'pods':
      return { ...object, status: { phase: 'Pending', qosClass: 'BestEffort' } };
    case 'namespaces':
      return { ...object, spec: { finalizers: ['kubernetes'] }, status: { phase: 'Active' } };
    case 'daemonsets':
      return { ...checkSelector(object, resource), status: {} };
    default:
      return object;
  }
}

/** What of `changed` a write may change, given the stored object and the subresource ('' or `status`). */
export function prepareUpdate(
  changed: KubeObject,
  stored: KubeObject,
  request: { resource: Resource; subresource: string },
): KubeObject {
  const { resource, subresource } = request;
  // A write to the status takes metadata with it, annotations too, but not the spec; for pods owners stay as well.
  if (subresource === 'status') return keep(changed, stored, 'spec');
  const result = resource.status ? keep(changed, stored, 'status') : changed;
  switch (resource.plural) {
    case 'nodes':
      return checkPodCidrs(withPodCidrs(result, resource), stored, resource);
    case 'daemonsets':
      unchanged('spec.selector', { before: stored, after: result, resource });
      return checkSelector(result, resource);
    case 'clusterrolebindings':
      unchanged('roleRef', { before: stored, after: result, resource });
      return result;
    default:
      return result;
  }
}

interface Change {
  readonly before: KubeObject;
  readonly after: KubeObject;
  readonly resource: Resource;
}

/** Throws 422 when a field that counts for ever has another value. Source: `ValidateDaemonSetUpdate`, `ValidateClusterRoleBindingUpdate`. */
function unchanged(field: string, { before, after, resource }: Change): void {
  const value = valueAt(after, field);
  if (Bun.deepEquals(valueAt(before, field), value, true)) return;
  throw refused(after, resource, { field, value, why: 'field is immutable' });
}

/** A DaemonSet's selector must select its own pods. Source: `ValidateDaemonSetSpec`; `matchExpressions` are not looked at. */
function checkSelector(object: KubeObject, resource: Resource): KubeObject {
  const selector = valueAt(object, 'spec.selector.matchLabels');
  const labels = valueAt(object, 'spec.template.metadata.labels');
  const wanted = isObject(selector) ? Object.entries(selector) : [];
  const found = isObject(labels) ? labels : {};
  if (wanted.length > 0 && wanted.every(([key, value]) => found[key] === value)) return object;
  const why = '`selector` does not match template `labels`';
  throw refused(object, resource, { field: 'spec.template.metadata.labels', value: labels, why });
}

interface Refusal {
  readonly field: string;
  readonly value: Json | undefined;
  readonly why: string;
}

function refused({ metadata }: KubeObject, resource: Resource, { field, value, why }: Refusal) {
  const subject = { ...resource, name: metadata.name };
  return invalid(subject, field, `Invalid value: ${JSON.stringify(value ?? null)}: ${why}`);
}

function keep(changed: KubeObject, stored: KubeObject, field: 'spec' | 'status'): KubeObject {
  const { [field]: _dropped, ...rest } = changed;
  const value = stored[field];
  return { ...rest, ...(value === undefined ? {} : { [field]: value }) };
}

/** `podCIDR` and `podCIDRs` mirror each other: whichever is given fills the other. */
function withPodCidrs(node: KubeObject, resource: Resource): KubeObject {
  const { spec } = node;
  if (spec === undefined) return node;
  const single = spec['podCIDR'];
  const list = Array.isArray(spec['podCIDRs']) ? spec['podCIDRs'] : [];
  if (typeof single === 'string' && single !== '') {
    if (list.length === 0) return { ...node, spec: { ...spec, podCIDRs: [single] } };
    if (list[0] !== single)
      throw invalid(
        { ...resource, name: node.metadata.name },
        'spec.podCIDRs',
        'podCIDR and the first of podCIDRs must be equal',
      );
    return node;
  }
  return list[0] === undefined ? node : { ...node, spec: { ...spec, podCIDR: list[0] } };
}

function checkPodCidrs(node: KubeObject, stored: KubeObject, resource: Resource): KubeObject {
  const before = isObject(stored.spec) ? stored.spec['podCIDRs'] : undefined;
  if (Array.isArray(before) && before.length > 0 && !Bun.deepEquals(before, node.spec?.['podCIDRs'], true)) {
    throw invalid(
      { ...resource, name: node.metadata.name },
      'spec',
      'Forbidden: node updates may only change labels, taints, or capacity (or configSource, if the DynamicKubeletConfig feature gate is enabled)',
    );
  }
  return node;
}
