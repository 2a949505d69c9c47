import { FlannelError } from '#base/errors.ts';
import type { PodView } from '#page/model.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import type { Link } from '#rtnetlink/link.ts';
import { openNetns } from '../process/places.ts';
import type { NodeState, PodState } from '../state/state.ts';
import { countersOf } from '#daemon/page/devices.ts';

/** The interface that the CNI chain makes in a pod. */
const INTERFACE = 'eth0';

/** A pod by its name in the lab, with what its own interface counts. `links`: those of its node. */
export function podView(pod: PodState, node: NodeState, links: readonly Link[]): PodView {
  const known = {
    name: pod.name,
    addresses: [pod.ip],
    container: pod.containerId,
    interface: INTERFACE,
    network: 'cbr0',
  };
  const link = interfaceOf(pod, node);
  if (link === undefined) return { ...known, namespace: 'gone' };
  // The other end is in the node: its number is unique there.
  const veth = links.find(({ index }) => index === link.parent);
  return {
    ...known,
    namespace: 'alive',
    ...(veth === undefined ? {} : { veth: veth.name, up: veth.up }),
    ...(link.mac === undefined ? {} : { mac: link.mac.toString() }),
    ...(link.stats === undefined ? {} : { counters: countersOf(link.stats) }),
  };
}

/** Undefined when the pod or its interface is gone. */
function interfaceOf(pod: PodState, node: NodeState): Link | undefined {
  try {
    using netns = openNetns({ kind: 'pod', name: pod.name, pod, node });
    using net = Rtnetlink.openIn(netns);
    return net.link(INTERFACE);
  } catch (error) {
    if (error instanceof FlannelError && error.actor !== 'bug') return undefined;
    throw error;
  }
}
