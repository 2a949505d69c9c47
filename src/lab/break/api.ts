import { systemClock } from '#base/clock.ts';
import { Cidr } from '#net/cidr.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import { PAPER } from '../serve/manager.ts';
import { openNetns } from '../process/places.ts';
import type { LabState } from '../state/state.ts';
import type { Control } from './control.ts';

/** How long `break api` keeps the API away. */
export const CUT_MS = 3000;

/** Adds a node on paper and waits until every node has a route to it; false when one has none within `limitMs`. */
export async function newNodeReachesAll(
  control: Control,
  state: LabState,
  limitMs: number,
): Promise<boolean> {
  await control.addPaperNode();
  return routesBecome(state, true, limitMs);
}

/** Takes it away again and waits until nobody has a route to it. */
export async function oldNodeLeavesAll(control: Control, state: LabState, limitMs: number): Promise<boolean> {
  await control.removePaperNode();
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
  const wanted = Cidr.parse(PAPER.subnet);
  return state.nodes.filter((node) => {
    using netns = openNetns({ kind: 'node', name: node.name, node });
    using net = Rtnetlink.openIn(netns);
    return net.routes({ family: 'ipv4', table: 254 }).some(({ dst }) => dst?.equals(wanted) === true);
  }).length;
}
