import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { KubeObject } from '#lab/api/object.ts';

const root = join(import.meta.dir, '../..');

/** A path in the sources. */
export function sourcePath(path: string): string {
  return join(root, path);
}

/** The objects of a manifest's text, in its order. */
export function objectsOfYaml(text: string): KubeObject[] {
  const parsed: unknown = Bun.YAML.parse(text);
  return (Array.isArray(parsed) ? parsed : [parsed]).filter((each) => each !== null) as KubeObject[];
}

/** The objects of a manifest by its path in the sources. */
export function manifestObjects(path: string): KubeObject[] {
  return objectsOfYaml(readFileSync(sourcePath(path), 'utf8'));
}

/** The one object of a kind; throws when there is another number of them. */
export function theOnly(objects: readonly KubeObject[], kind: string): KubeObject {
  const [first, ...others] = objects.filter((object) => object.kind === kind);
  if (first === undefined || others.length > 0)
    throw new Error(`${first === undefined ? 'no' : 'more than one'} ${kind}`);
  return first;
}

/** What these tests read of a container (`core/v1 Container`). */
export interface Container {
  readonly name: string;
  readonly image: string;
  readonly command: readonly string[];
  readonly args?: readonly string[];
  readonly env?: readonly { readonly name: string; readonly value?: string }[];
  readonly resources?: {
    readonly requests?: Readonly<Record<string, string>>;
    readonly limits?: Readonly<Record<string, string>>;
  };
  readonly securityContext?: {
    readonly privileged?: boolean;
    readonly allowPrivilegeEscalation?: boolean;
    readonly readOnlyRootFilesystem?: boolean;
    readonly capabilities?: { readonly add?: readonly string[]; readonly drop?: readonly string[] };
  };
  readonly volumeMounts: readonly {
    readonly name: string;
    readonly mountPath: string;
    readonly readOnly?: boolean;
    readonly mountPropagation?: string;
  }[];
  readonly livenessProbe?: Probe;
  readonly readinessProbe?: Probe;
}

export interface Probe {
  readonly httpGet: { readonly host?: string; readonly path: string; readonly port: number | string };
}

/** What these tests read of a pod (`core/v1 PodSpec`). */
export interface PodSpec {
  readonly hostNetwork?: boolean;
  readonly initContainers: readonly Container[];
  readonly containers: readonly Container[];
  readonly volumes: readonly {
    readonly name: string;
    readonly hostPath?: { readonly path: string; readonly type?: string };
    readonly configMap?: { readonly name: string };
  }[];
}

export interface DaemonSetSpec {
  readonly selector: { readonly matchLabels: Readonly<Record<string, string>> };
  readonly template: {
    readonly metadata: {
      readonly labels: Readonly<Record<string, string>>;
      readonly annotations?: Readonly<Record<string, string>>;
    };
    readonly spec: PodSpec;
  };
}

/** The spec of a DaemonSet, as the API has it: not checked here, the API does that. */
export function daemonSetSpec(object: KubeObject): DaemonSetSpec {
  return object.spec as unknown as DaemonSetSpec;
}

/** The texts of a ConfigMap. */
export function dataOf(object: KubeObject): Readonly<Record<string, string>> {
  return object['data'] as Record<string, string>;
}
