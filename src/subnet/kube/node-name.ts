import { ConfigError, FlannelError } from '#base/errors.ts';
import type { KubeClient } from '#clients/k8s/client.ts';
import { ALL, members } from '#clients/k8s/selection.ts';
import { isNodeName } from './node.ts';

export interface NodeNameOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly client: KubeClient;
  readonly signal: AbortSignal;
}

/**
 * This node's name: `NODE_NAME`, else `spec.nodeName` of the pod `POD_NAMESPACE`/`POD_NAME`. Throws ConfigError when the
 * environment does not tell, and the client's errors when the pod cannot be read.
 */
export async function findNodeName({ env, client, signal }: NodeNameOptions): Promise<string> {
  const given = env.NODE_NAME ?? '';
  if (given !== '') return checked(given, 'NODE_NAME');
  const pod = env.POD_NAME ?? '';
  const namespace = env.POD_NAMESPACE ?? '';
  if (pod === '' || namespace === '') {
    const cure = 'set NODE_NAME from spec.nodeName in the DaemonSet';
    throw new ConfigError('NODE_NAME', 'not set, and POD_NAME and POD_NAMESPACE are not both set', { cure });
  }
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(pod)}`;
  const object = await client.get(path, { select: members({ spec: members({ nodeName: ALL }) }), signal });
  const name = (object as { spec?: { nodeName?: unknown } } | null)?.spec?.nodeName;
  if (typeof name !== 'string' || name === '') {
    throw new FlannelError('api', `pod ${namespace}/${pod} has no spec.nodeName`);
  }
  return checked(name, `spec.nodeName of pod ${namespace}/${pod}`);
}

function checked(name: string, path: string): string {
  if (!isNodeName(name))
    throw new ConfigError(path, `${JSON.stringify(name.slice(0, 64))} is not a node name`);
  return name;
}
