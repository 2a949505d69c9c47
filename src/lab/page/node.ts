import { FlannelError } from '#base/errors.ts';
import { parseStatus } from '#daemon/inspect/agent-status.ts';
import { askAgent, NoAgent } from '#daemon/inspect/ask.ts';
import { parseOverlay } from '#daemon/inspect/overlay-parse.ts';
import { SOCKET_NAME } from '#daemon/inspect/socket-name.ts';
import type { PagePlan } from '#daemon/page/answers.ts';
import { overview } from '#daemon/page/overview.ts';
import { peerViews } from '#daemon/page/peer-view.ts';
import { planOf } from '#daemon/page/plan-of.ts';
import type { LabNode, PodView } from '#page/model.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import { openNetns } from '../process/places.ts';
import type { NodeState, PodState } from '../state/state.ts';
import { podView } from './pods.ts';

/** How long an agent that works may take, ms: one that hangs holds the picture of the others up for so long. */
const PATIENCE = 800;

/** A node as its agent and its kernel show it. Its agent may be down: the node is told all the same. */
export async function lookAt(node: NodeState, pods: readonly PodState[]): Promise<LabNode> {
  const { name, ip } = node;
  const root = `/proc/${node.pid}/root`;
  const socket = `${root}/run/flannel/${SOCKET_NAME}`;
  try {
    const status = parseStatus(await askAgent(socket, '/status', PATIENCE));
    const plan = await planAt(socket);
    const seen = await overview({
      answers: { status: async () => ({ status }), plan: async () => plan },
      openKernel: () => openKernel(node),
      now: () => Date.now(),
      ipamDir: `${root}/var/lib/cni/networks`,
      enter: false,
    });
    const peers = plan === undefined ? [] : [...peerViews(plan)];
    return { name, ip, agent: 'running', overview: { ...seen, pods: podsOn(node, pods) }, peers };
  } catch (error) {
    // It is being killed, or its node is just going.
    if (error instanceof FlannelError && error.actor !== 'bug') return { name, ip, agent: 'down', peers: [] };
    throw error;
  }
}

/** Undefined until it knows its subnet. */
async function planAt(socket: string): Promise<PagePlan | undefined> {
  try {
    return planOf(parseOverlay(await askAgent(socket, '/plan', PATIENCE)));
  } catch (error) {
    if (error instanceof NoAgent) return undefined;
    throw error;
  }
}

function openKernel(node: NodeState): Rtnetlink {
  using netns = openNetns({ kind: 'node', name: node.name, node });
  return Rtnetlink.openIn(netns);
}

/** By the names that the lab gave them, and as their own interfaces count. */
function podsOn(node: NodeState, pods: readonly PodState[]): PodView[] {
  using net = openKernel(node);
  const links = net.links();
  return pods.filter((pod) => pod.node === node.name).map((pod) => podView(pod, node, links));
}
