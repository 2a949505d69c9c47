import { readFileSync } from 'node:fs';
import { systemClock } from '#base/clock.ts';
import { FlannelError } from '#base/errors.ts';
import { PREFIX, RANGES } from '../addresses.ts';
import { podsOf, type FaultKind } from '../fault.ts';
import type { SoakNode } from '../node.ts';
import { leavePod } from './pods.ts';

/** A change of a Node goes through the API server and all agents, ms. */
const NODE_BOUND = 5000;
/** How long a node may take to its other pod network, ms. */
const PATIENCE = 20_000;

/** What happens to the Node object of a node. */
export const LIFECYCLE_FAULTS: readonly FaultKind[] = [
  {
    name: 'annotations-wiped',
    on: 'node',
    draw: ({ cluster, node, random }) => {
      const wrong = random.chance(0.5);
      return {
        what: wrong
          ? `annotations of ${node.name} say something else`
          : `annotations of ${node.name} removed`,
        hurts: podsOf(node),
        bound: NODE_BOUND,
        run: async () => {
          cluster.api.nodes.update(node.name, ({ metadata }) => {
            const entries = Object.entries(metadata.annotations ?? {});
            metadata.annotations = Object.fromEntries(
              entries.flatMap(([key, value]) => {
                if (!key.startsWith(PREFIX)) return [[key, value]];
                return wrong ? [[key, value.replaceAll(/[1-9]/g, '7')]] : [];
              }),
            );
          });
        },
      };
    },
  },
  {
    name: 'node-recreated',
    on: 'node',
    draw: ({ cluster, node, random }) => {
      const pause = random.between(0, 1500);
      return {
        what: `Node ${node.name} deleted, and created again after ${pause} ms`,
        hurts: podsOf(node),
        bound: NODE_BOUND,
        run: async () => {
          cluster.api.nodes.delete(node.name);
          await systemClock.sleep(pause);
          cluster.register(node);
        },
      };
    },
  },
  {
    name: 'node-readdressed',
    on: 'node',
    draw: ({ cluster, node, random }) => {
      const range = (node.range + random.between(1, RANGES - 1)) % RANGES;
      const pause = random.between(0, 500);
      return {
        what: `Node ${node.name} drained, deleted, and created again with pod network number ${range}`,
        hurts: [],
        bound: NODE_BOUND,
        run: async () => {
          for (const pod of node.pods.slice()) await leavePod(cluster, node, pod);
          cluster.api.nodes.delete(node.name);
          await systemClock.sleep(pause);
          node.range = range;
          cluster.register(node);
          await subnetFollows(node);
          await cluster.addPod(node);
          await cluster.peersKnow(node);
          await cluster.probe();
        },
      };
    },
  },
];

/** Until then a pod would get an address of the old network. */
async function subnetFollows(node: SoakNode): Promise<void> {
  const start = performance.now();
  while (performance.now() - start < PATIENCE) {
    if (hasSubnet(node)) return;
    await systemClock.sleep(20);
  }
  throw new FlannelError(
    'bug',
    `subnet.env of ${node.name} does not name ${node.podCidrs.join(', ')} after ${PATIENCE / 1000} s`,
  );
}

function hasSubnet(node: SoakNode): boolean {
  try {
    const text = readFileSync(node.file('/run/flannel/subnet.env'), 'utf8');
    return node.podCidrs.every((cidr) => text.includes(`_SUBNET=${firstHost(cidr)}`));
  } catch {
    return false;
  }
}

/** 10.244.1.0/24 begins as 10.244.1.1 does, up to the last digit. */
function firstHost(cidr: string): string {
  const [network = ''] = cidr.split('/');
  return network.endsWith(':') ? network : network.slice(0, -1);
}
