import { byKey, CONDITIONS, METADATA, POD_SPEC, set } from './merge-schemas.ts';
import type { MergeSchema } from './patch/strategic.ts';

/** A kind of object that the server stores. */
export interface Resource {
  /** API group; '' is the core group under /api. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly singular: string;
  readonly kind: string;
  readonly shortNames: readonly string[];
  readonly namespaced: boolean;
  /** Has the `status` subresource: a write to the main resource then leaves status alone. */
  readonly status: boolean;
  /** Field selector paths beside metadata.name and metadata.namespace, with what an absent field counts as. */
  readonly fields: Readonly<Record<string, string>>;
  readonly schema: MergeSchema;
}

/** `v1` or `group/version`. */
export function apiVersionOf(resource: { group: string; version: string }): string {
  return resource.group === '' ? resource.version : `${resource.group}/${resource.version}`;
}

const CORE = { group: '', version: 'v1' } as const;
const APPS = { group: 'apps', version: 'v1' } as const;
const RBAC = { group: 'rbac.authorization.k8s.io', version: 'v1' } as const;

/**
 * The stored resources, with the patch strategies of their Go types (`patchStrategy` and `patchMergeKey` tags of
 * k8s.io/api). A list without a rule is atomic, `spec.taints` among them.
 */
export const RESOURCES: readonly Resource[] = [
  {
    ...CORE,
    plural: 'namespaces',
    singular: 'namespace',
    kind: 'Namespace',
    shortNames: ['ns'],
    namespaced: false,
    status: true,
    fields: { 'status.phase': '' },
    schema: { fields: { metadata: METADATA, status: CONDITIONS } },
  },
  {
    ...CORE,
    plural: 'nodes',
    singular: 'node',
    kind: 'Node',
    shortNames: ['no'],
    namespaced: false,
    status: true,
    fields: { 'spec.unschedulable': 'false' },
    schema: {
      fields: {
        metadata: METADATA,
        spec: { lists: { podCIDRs: set } },
        status: { lists: { conditions: byKey('type'), addresses: byKey('type') } },
      },
    },
  },
  {
    ...CORE,
    plural: 'pods',
    singular: 'pod',
    kind: 'Pod',
    shortNames: ['po'],
    namespaced: true,
    status: true,
    fields: {
      'spec.nodeName': '',
      'spec.restartPolicy': '',
      'spec.schedulerName': '',
      'spec.serviceAccountName': '',
      'spec.hostNetwork': 'false',
      'status.phase': '',
      'status.podIP': '',
      'status.nominatedNodeName': '',
    },
    schema: {
      fields: {
        metadata: METADATA,
        spec: POD_SPEC,
        status: { lists: { conditions: byKey('type'), podIPs: byKey('ip'), hostIPs: byKey('ip') } },
      },
    },
  },
  {
    ...CORE,
    plural: 'events',
    singular: 'event',
    kind: 'Event',
    shortNames: ['ev'],
    namespaced: true,
    status: false,
    fields: {
      'involvedObject.kind': '',
      'involvedObject.namespace': '',
      'involvedObject.name': '',
      'involvedObject.uid': '',
      'involvedObject.apiVersion': '',
      'involvedObject.resourceVersion': '',
      'involvedObject.fieldPath': '',
      reason: '',
      reportingComponent: '',
      source: '',
      type: '',
    },
    schema: { fields: { metadata: METADATA } },
  },
  {
    ...CORE,
    plural: 'configmaps',
    singular: 'configmap',
    kind: 'ConfigMap',
    shortNames: ['cm'],
    namespaced: true,
    status: false,
    fields: {},
    schema: { fields: { metadata: METADATA } },
  },
  {
    group: 'coordination.k8s.io',
    version: 'v1',
    plural: 'leases',
    singular: 'lease',
    kind: 'Lease',
    shortNames: [],
    namespaced: true,
    status: false,
    fields: {},
    schema: { fields: { metadata: METADATA } },
  },
  {
    ...CORE,
    plural: 'serviceaccounts',
    singular: 'serviceaccount',
    kind: 'ServiceAccount',
    shortNames: ['sa'],
    namespaced: true,
    status: false,
    fields: {},
    schema: { fields: { metadata: METADATA }, lists: { secrets: byKey('name') } },
  },
  {
    ...APPS,
    plural: 'daemonsets',
    singular: 'daemonset',
    kind: 'DaemonSet',
    shortNames: ['ds'],
    namespaced: true,
    status: true,
    fields: {},
    schema: {
      fields: {
        metadata: METADATA,
        spec: { fields: { template: { fields: { metadata: METADATA, spec: POD_SPEC } } } },
        status: CONDITIONS,
      },
    },
  },
  {
    ...RBAC,
    plural: 'clusterroles',
    singular: 'clusterrole',
    kind: 'ClusterRole',
    shortNames: [],
    namespaced: false,
    status: false,
    fields: {},
    schema: { fields: { metadata: METADATA } },
  },
  {
    ...RBAC,
    plural: 'clusterrolebindings',
    singular: 'clusterrolebinding',
    kind: 'ClusterRoleBinding',
    shortNames: [],
    namespaced: false,
    status: false,
    fields: {},
    schema: { fields: { metadata: METADATA } },
  },
];
