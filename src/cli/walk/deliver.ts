import { NUD } from '#rtnetlink/constants.ts';
import type { Link } from '#rtnetlink/link.ts';
import type { Pod } from '#daemon/inspect/pods.ts';
import { dead, isWay, podWith, shortId, type WalkContext } from './context.ts';
import { isUsable } from './kernel.ts';
import { dies, type End } from './trail.ts';

/** From the node over its bridge to a pod: the node's neighbour entry first, then as every frame on the bridge. */
export function toPod(context: WalkContext, bridge: Link): End {
  const { node, destination } = context;
  const pod = podWith(context, destination);
  const neighbour = node.neighbour(bridge.index, destination);
  const asking = destination.family === 'ipv4' ? 'ARP' : 'neighbour discovery';
  if (neighbour !== undefined && (neighbour.state & NUD.FAILED) !== 0)
    return dies(`nobody answers ${asking} for ${destination} on ${bridge.name}`, podCure(pod));
  const known = neighbour !== undefined && isUsable(neighbour) ? neighbour.mac : undefined;
  if (pod === undefined && known === undefined)
    return dies(
      `nobody has ${destination}: it is not reserved, and nobody has been heard with it`,
      podCure(pod),
    );
  if (known !== undefined && pod?.mac !== undefined && !known.equals(pod.mac))
    return dies(
      `this node takes ${known} for the MAC of ${destination}; the pod has ${pod.mac}`,
      `ip neigh del ${destination} dev ${bridge.name}`,
    );
  const mac = known === undefined ? `${asking} will ask for it` : `neighbour ${destination} is ${known}`;
  context.trail.step(`node ${bridge.name}`, mac);
  return bridged(context, bridge);
}

/** Over the bridge to the destination's port. */
export function bridged(context: WalkContext, bridge: Link): End {
  const { node, destination, trail } = context;
  const pod = podWith(context, destination);
  if (pod?.namespace === 'gone')
    return dies(`the namespace of container ${shortId(pod.container)} is gone`, podCure(pod));
  const mac = pod?.mac ?? node.neighbour(bridge.index, destination)?.mac;
  const learned = mac === undefined ? undefined : node.link(node.portOf(bridge.index, mac));
  const cable = pod?.veth === undefined ? undefined : node.named(pod.veth);
  const port = cable ?? learned;
  if (port === undefined)
    return dies(
      pod === undefined && mac === undefined
        ? `nobody has ${destination}: it is not reserved, and nobody has been heard with it on ${bridge.name}`
        : `no port of ${bridge.name} leads to ${destination}`,
      podCure(pod),
    );
  const broken = dead(port);
  if (broken !== undefined) return broken;
  if (
    cable !== undefined &&
    learned !== undefined &&
    learned.index !== cable.index &&
    learned.index !== bridge.index
  )
    return dies(
      `${bridge.name} believes that ${mac} is behind ${learned.name}; the pod's cable is ${cable.name}`,
      `bridge fdb del ${mac} dev ${learned.name} master`,
    );
  trail.step(`node ${port.name}`, `the port of ${destination}`);
  return pod === undefined ? { outcome: 'arrives', why: `at the port ${port.name}` } : atPod(context, pod);
}

function atPod(context: WalkContext, pod: Pod): End {
  const { destination, source, trail } = context;
  const where = `pod ${destination} ${pod.interface ?? ''}`.trimEnd();
  const inside = context.inside(pod);
  const link = pod.interface === undefined ? undefined : inside?.named(pod.interface);
  if (inside === undefined || link === undefined) {
    trail.step(where, 'its namespace cannot be looked into');
    return { outcome: 'arrives', why: `at the port of container ${shortId(pod.container)}` };
  }
  const broken = dead(link);
  if (broken !== undefined) return broken;
  if (!inside.addresses(link.index).some(({ ip }) => ip.equals(destination)))
    return dies(
      `container ${shortId(pod.container)} has reserved ${destination}, but ${link.name} in it has not that address`,
      podCure(pod),
    );
  const back = isWay(inside.lookUp(source, { from: destination }))
    ? []
    : [`it has no route back to ${source}: no answer`];
  trail.step(where, `the pod has the address`, back);
  return { outcome: 'arrives', why: `at container ${shortId(pod.container)}` };
}

function podCure(pod: Pod | undefined): string {
  return pod === undefined
    ? 'flannelctl pods lists the pods of this node'
    : 'Delete the pod: its network cannot be put back';
}
