import type { Cluster } from '../cluster.ts';
import type { FaultKind } from '../fault.ts';
import type { SoakNode } from '../node.ts';
import { deletePod, killedPod, type SoakPod } from '../pods.ts';

/** A node has no more pods than this; the first of them stays. */
const MOST = 5;
const POD_BOUND = 3000;

/** Takes a pod away that is probed. */
export async function leavePod(cluster: Cluster, node: SoakNode, pod: SoakPod): Promise<void> {
  node.pods.splice(node.pods.indexOf(pod), 1);
  await cluster.probe();
  await deletePod(node, pod, cluster.env);
}

/** Nobody's packets may suffer from the coming and going of pods. */
export const POD_FAULTS: readonly FaultKind[] = [
  {
    name: 'pods-come',
    on: 'node',
    weight: 2,
    draw: ({ cluster, node, random }) => {
      const count = Math.min(random.between(1, 3), MOST - node.pods.length);
      const names = Array.from({ length: Math.max(0, count) }, () => cluster.podName(node));
      return {
        what: `${names.length} pods at once`,
        hurts: [],
        bound: POD_BOUND,
        run: async () => {
          await Promise.all(names.map((name) => cluster.addPod(node, name)));
          await cluster.probe();
        },
      };
    },
  },
  {
    name: 'pods-go',
    on: 'node',
    draw: ({ cluster, node, random }) => {
      const leaving = random.shuffled(node.pods.slice(1)).slice(0, random.between(1, 3));
      return {
        what: `${leaving.length} pods deleted`,
        hurts: [],
        bound: POD_BOUND,
        run: async () => {
          for (const pod of leaving) await leavePod(cluster, node, pod);
        },
      };
    },
  },
  {
    name: 'pod-killed',
    on: 'node',
    weight: 2,
    draw: ({ cluster, node, random }) => {
      const name = cluster.podName(node);
      const kill = {
        during: random.pick(['ADD', 'DEL'] as const),
        after: random.between(1, 70),
        namespaceLost: random.chance(0.3),
      };
      return {
        what: `CNI ${kill.during} killed after ${kill.after} ms${kill.namespaceLost ? ', its namespace lost' : ''}; DEL, and a new sandbox`,
        hurts: [],
        bound: POD_BOUND,
        run: async () => {
          const pod = await killedPod(node, { env: cluster.env, name }, kill);
          await cluster.probe();
          if (node.pods.length > MOST) await leavePod(cluster, node, pod);
        },
      };
    },
  },
];
