import { systemClock } from '#base/clock.ts';
import { Cidr } from '#net/cidr.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import { openNetns } from '../process/places.ts';
import type { LabState } from '../state/state.ts';
import type { Control } from './control.ts';

/** How long `break api` keeps the API away. */
export const CUT_MS = 3000;

const PAPER_SUBNET = '10.244.250.0/24';

/** A node without a machine: all that its peers learn of it. */
const PAPER_NODE = {
  metadata: {
    name: 'n250',
    annotations: {
      'flannel.alpha.coreos.com/kube-subnet-manager': 'true',
      'flannel.alpha.coreos.com/backend-type': 'vxlan',
      'flannel.alpha.coreos.com/backend-data': '{"VNI":1,"VtepMAC":"02:00:00:00:02:50"}',
      'flannel.alpha.coreos.com/public-ip': '192.168.50.250',
    },
  },
  spec: { podCIDR: PAPER_SUBNET, podCIDRs: [PAPER_SUBNET] },
} as const;

/** Adds a node on paper and waits until every node has a route to it; false when one has none within `limitMs`. */
export async function newNodeReachesAll(
  control: Control,
  state: LabState,
  limitMs: number,
): Promise<boolean> {
  await control.addNode(PAPER_NODE);
  return routesBecome(state, true, limitMs);
}

/** Takes it away again and waits until nobody has a route to it. */
export async function oldNodeLeavesAll(control: Control, state: LabState, limitMs: number): Promise<boolean> {
  await control.deleteNode(PAPER_NODE.metadata.name);
  return routesBecome(state, false, limitMs);
}

async function routesBecome(state: LabState, there: boolean, limitMs: number): Promise<boolean> {
  const start = performance.now();
  while (performance.now() - start < limitMs) {
    if (countRoutes(state) === (there ? state.nodes.length : 0)) return true;
    await systemClock.sleep(5);
  }
  return false;
}

function countRoutes(state: LabState): number {
  const wanted = Cidr.parse(PAPER_SUBNET);
  return state.nodes.filter((node) => {
    using netns = openNetns({ kind: 'node', name: node.name, node });
    using net = Rtnetlink.openIn(netns);
    return net.routes({ family: 'ipv4', table: 254 }).some(({ dst }) => dst?.equals(wanted) === true);
  }).length;
}
