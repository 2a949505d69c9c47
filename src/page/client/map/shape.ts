import type { LabView, NodeView, PodView } from '../../model.ts';
import { podKey } from './node-card.ts';

/** What of a node and its pods decides how its card looks. */
export function nodeShape(node: NodeView, pods: readonly PodView[]): string {
  const devices = node.devices.map(({ name, up, mac, vni }) => [name, up, mac, vni]);
  const own = pods.map((pod) => [podKey(pod), pod.name, pod.addresses[0], pod.namespace, pod.up]);
  return JSON.stringify([node.name, node.subnets, node.publicIps, node.external.name, devices, own]);
}

/** The same of a lab. */
export function labShape({ nodes, places }: LabView): string {
  const parts = nodes.map(({ name, agent, ip, overview, peers }) => [
    name,
    agent,
    ip,
    overview?.node === undefined ? null : nodeShape(overview.node, overview.pods),
    peers.map((peer) => [peer.name, peer.state]),
  ]);
  return JSON.stringify([parts, places.includes('world')]);
}
