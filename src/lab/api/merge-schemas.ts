import type { ListRule, MergeSchema } from './patch/strategic.ts';

/** Patch strategies that several kinds share: the `patchStrategy` and `patchMergeKey` tags of k8s.io/api. */
export const byKey = (key: string, items: MergeSchema = {}): ListRule => ({ key, items });
export const set: ListRule = { set: true };

export const METADATA: MergeSchema = { lists: { finalizers: set, ownerReferences: byKey('uid') } };
export const CONDITIONS: MergeSchema = { lists: { conditions: byKey('type') } };

const CONTAINER: MergeSchema = {
  lists: {
    ports: byKey('containerPort'),
    env: byKey('name'),
    volumeMounts: byKey('mountPath'),
    volumeDevices: byKey('devicePath'),
  },
};

export const POD_SPEC: MergeSchema = {
  lists: {
    volumes: byKey('name'),
    initContainers: byKey('name', CONTAINER),
    containers: byKey('name', CONTAINER),
    ephemeralContainers: byKey('name', CONTAINER),
    imagePullSecrets: byKey('name'),
    hostAliases: byKey('ip'),
    topologySpreadConstraints: byKey('topologyKey'),
    schedulingGates: byKey('name'),
    resourceClaims: byKey('name'),
  },
};
