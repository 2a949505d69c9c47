import { FlannelError } from '#base/errors.ts';
import { parseStatus } from '#daemon/inspect/agent-status.ts';
import { askAgent, NoAgent } from '#daemon/inspect/ask.ts';
import { parseOverlay } from '#daemon/inspect/overlay-parse.ts';
import type { Overlay } from '#daemon/inspect/overlay.ts';
import { SOCKET_NAME } from '#daemon/inspect/socket-name.ts';
import { capacity, reserved } from '#daemon/metrics/addresses.ts';
import { Cidr } from '#net/cidr.ts';
import type { LabNode, NodeView } from '#page/model.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import { openNetns } from '../process/places.ts';
import type { NodeState, PodState } from '../state/state.ts';
import { overviewOf, peersOf } from './overview.ts';
import { podView } from './pods.ts';

/** How long an agent that works may take, ms: one that hangs holds the picture of the others up for so long. */
const PATIENCE = 800;

/** A node as its agent and its kernel show it. Its agent may be down: the node is told all the same. */
export async function lookAt(node: NodeState, pods: readonly PodState[]): Promise<LabNode> {
  const { name, ip } = node;
  try {
    const socket = `/proc/${node.pid}/root/run/flannel/${SOCKET_NAME}`;
    const status = parseStatus(await askAgent(socket, '/status', PATIENCE));
    const overlay = await planAt(socket);
    const overview = overviewOf({
      status,
      overlay,
      ...kernelOf(node, pods),
      room: roomOf(node, Object.values(status.lease?.subnets ?? {})),
      now: Date.now(),
    });
    return { name, ip, agent: 'running', overview, peers: overlay === undefined ? [] : peersOf(overlay) };
  } catch (error) {
    // It is being killed, or its node is just going.
    if (error instanceof FlannelError && error.actor !== 'bug') return { name, ip, agent: 'down', peers: [] };
    throw error;
  }
}

/** Undefined until it knows its subnet. */
async function planAt(socket: string): Promise<Overlay | undefined> {
  try {
    return parseOverlay(await askAgent(socket, '/plan', PATIENCE));
  } catch (error) {
    if (error instanceof NoAgent) return undefined;
    throw error;
  }
}

function kernelOf(node: NodeState, pods: readonly PodState[]) {
  using netns = openNetns({ kind: 'node', name: node.name, node });
  using net = Rtnetlink.openIn(netns);
  const links = net.links();
  const own = pods.filter((pod) => pod.node === node.name);
  return { links, addresses: net.addresses(), pods: own.map((pod) => podView(pod, node, links)) };
}

function roomOf(node: NodeState, subnets: readonly string[]): NodeView['addresses'] {
  const parsed = subnets.flatMap((text) => Cidr.tryParse(text) ?? []);
  const used = reserved(`/proc/${node.pid}/root/var/lib/cni/networks`, parsed);
  return parsed.map((subnet, at) => ({
    subnet: subnet.toString(),
    used: used?.[at] ?? 0,
    capacity: capacity(subnet),
  }));
}
