import { FlannelError } from '#base/errors.ts';
import type { KubeClient } from '#clients/k8s/client.ts';
import { isMissing } from '#clients/k8s/errors.ts';
import type { Family } from '#net/family.ts';
import type { Ip } from '#net/ip.ts';
import type { NetworkConfig } from '../config.ts';
import type { OwnRecord } from '../manager.ts';
import type { AnnotationKeys } from './annotations.ts';
import { MAX_ANNOTATION, type NodeView, nodeSelection, parseNode } from './node.ts';
import { parsePublicIp, podSubnets } from './node-lease.ts';
import { NodeWarning } from './warning.ts';
import { Complaint, type RetryContext, Waits } from '../retry.ts';

export interface OwnContext extends RetryContext {
  readonly client: KubeClient;
  readonly nodeName: string;
  readonly keys: AnnotationKeys;
  /** Called whenever the API server was heard of: its answer may be that there is nothing. */
  readonly onContact: () => void;
}

/** The path of this node in the API. */
export function nodePath(name: string): string {
  return `/api/v1/nodes/${encodeURIComponent(name)}`;
}

/** Waits without end until the Node exists and has a subnet in every enabled family. Rejects with the signal's reason. */
export async function waitForOwn(
  context: OwnContext,
  config: NetworkConfig,
  signal: AbortSignal,
): Promise<{ record: OwnRecord; view: NodeView }> {
  const complaint = new Complaint(context);
  const warning = new NodeWarning(context);
  const waits = new Waits(context, { initial: 1000, max: 10_000 });
  for (;;) {
    let failure: unknown;
    try {
      const view = await getNode(context, signal);
      context.onContact();
      const missing = missingSubnets(view, config);
      if (missing === undefined) {
        complaint.over('this node has its subnet');
        return { record: ownRecord(view, config, context), view };
      }
      const { event, ...words } = missing;
      complaint.tell('waiting for a subnet of this node', { node: context.nodeName, ...words });
      const told = { reason: event, message: `${words.reason}: ${words.cure}`, uid: view.uid };
      // Not waited for; rejects only when stopped.
      void warning.tell(told, signal).catch(() => {});
    } catch (error) {
      signal.throwIfAborted();
      failure = error;
      if (isMissing(error)) {
        context.onContact();
        const cure = 'check that the kubelet has registered and that NODE_NAME is the name of its Node';
        complaint.tell('waiting for the Node object of this node', { node: context.nodeName, cure });
      } else complaint.say('cannot read the Node object of this node, trying again', error);
    }
    await waits.sleep(signal, failure);
  }
}

/** Reads this node's Node from the API, newest state. */
export async function getNode(context: OwnContext, signal: AbortSignal): Promise<NodeView> {
  const select = nodeSelection(context.keys);
  const path = nodePath(context.nodeName);
  const view = parseNode(await context.client.get(path, { select, signal }));
  if (view !== undefined) return view;
  throw new FlannelError('api', `GET ${context.client.server}${path}: the answer is no Node`, {
    cure: 'check that the address is that of the API server',
  });
}

/** Why the node cannot start yet, as log fields; undefined when every enabled family has its subnet. */
export function missingSubnets(
  view: NodeView,
  config: NetworkConfig,
): { reason: string; cure: string; event: string } | undefined {
  const { subnets, problems } = podSubnets(view, config);
  const missing = config.families.filter((family) => subnets[family] === undefined);
  if (missing.length === 0) return undefined;
  if (problems.length > 0) {
    const cure = `make Network in ${config.source} the same as --cluster-cidr of the kube-controller-manager`;
    return { reason: problems.join('; '), cure, event: 'PodCIDRNotInNetwork' };
  }
  const networks = config.families.map((family) => config.networks[family]?.toString() ?? '').join(',');
  return {
    reason:
      view.podCidrs.length === 0
        ? 'pod cidr not assigned'
        : `no ${missing.join(' and no ')} pod cidr assigned`,
    cure:
      `run the kube-controller-manager with --allocate-node-cidrs=true --cluster-cidr=${networks} ` +
      `(kubeadm: --pod-network-cidr=${networks})`,
    event: 'PodCIDRNotAssigned',
  };
}

/** What the store knows of this node. A bad `node-public-ip` is ignored with a warning. */
export function ownRecord(
  view: NodeView,
  config: NetworkConfig,
  context: Pick<OwnContext, 'keys' | 'log' | 'nodeName'>,
): OwnRecord {
  const { keys, log } = context;
  const backendData: Partial<Record<Family, string>> = {};
  const publicIp: Partial<Record<Family, Ip>> = {};
  for (const family of config.families) {
    const data = view.annotations.get(keys.backendData[family]);
    if (data !== undefined && data.length <= MAX_ANNOTATION) backendData[family] = data;
    const wish = view.annotations.get(keys.nodePublicIp[family]) ?? '';
    if (wish === '') continue;
    const ip = parsePublicIp(wish, family);
    if (ip !== undefined) publicIp[family] = ip;
    else
      log.warn('annotation ignored: not a unicast address', {
        key: keys.nodePublicIp[family],
        value: wish.slice(0, 64),
      });
  }
  return {
    name: context.nodeName,
    subnets: podSubnets(view, config).subnets,
    backendType: view.annotations.get(keys.backendType)?.slice(0, 64),
    backendData,
    publicIp,
  };
}
