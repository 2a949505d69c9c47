import type { Cidr } from '#net/cidr.ts';
import type { TrafficRule } from './rules.ts';

/** What a rule is for, in words. `chain`: all rules of its chain, of which the masquerading ones say what the pod network is. */
export function ruleReason({ match, action }: TrafficRule, chain: readonly TrafficRule[]): string {
  const { mark, source, destination, udpPort } = match;
  if (mark !== undefined) return 'kube-proxy masquerades by itself what it has marked';
  if (udpPort !== undefined) return "the overlay's own packets keep their source";
  if (action === 'accept')
    return source === undefined
      ? 'forwarded packets to pods are accepted'
      : 'forwarded packets from pods are accepted';
  if (action !== 'return')
    return source?.not === true
      ? 'from the node itself to a pod elsewhere: answers find their way back'
      : 'from a pod to the world outside: it sees the address of the node';
  const networks = networksOf(chain);
  const inPods = (cidr: Cidr) => networks.some((network) => network.contains(cidr));
  if (source?.not === true) return 'from outside to a pod: it sees the sender';
  if (destination === undefined || !inPods(destination.cidr))
    return "excluded by --ip-masq-exclude: the pods' own addresses are seen there";
  return 'inside the pod network addresses are kept';
}

function networksOf(chain: readonly TrafficRule[]): Cidr[] {
  return chain.flatMap(({ action, match: { source } }) =>
    action.startsWith('masquerade') && source?.not === false ? [source.cidr] : [],
  );
}
