import { Cidr } from '#net/cidr.ts';
import type { Family } from '#net/family.ts';
import { POD_NETWORKS } from '../addresses.ts';
import { BACKEND_FACTS } from '../backends.ts';
import { KERNEL_BOUND, podsOf, type Attempt, type Draw } from '../fault.ts';
import { flag, type SoakNode } from '../node.ts';
import { VTEP } from '../wanted-peers.ts';

/** Commands on the node that cost packets between pods until they are undone. */
export function commands({ node, alone }: Draw, ...list: readonly string[]): Attempt {
  return {
    what: list.join('; '),
    hurts: podsOf(node),
    bound: KERNEL_BOUND,
    run: async () => {
      for (const [at, command] of list.entries()) {
        // The agent may have been faster: what it has put back already cannot be made, what it has removed not be deleted.
        await node.run(...command.split(' ')).catch((error: unknown) => {
          if (alone && at === 0) throw error;
        });
      }
    },
  };
}

/** As `commands`, where no packet may be lost. */
export function harmless(draw: Draw, ...list: readonly string[]): Attempt {
  return { ...commands(draw, ...list), hurts: [] };
}

export function device({ random, node }: Draw): { family: Family; name: string } {
  const family = random.pick(node.families);
  return { family, name: VTEP[family] };
}

/** Some of the other nodes, at least one. */
export function somePeers({ cluster, random, node }: Draw): SoakNode[] {
  const others = cluster.nodes.filter((other) => other !== node);
  return random.shuffled(others).slice(0, random.between(1, others.length));
}

export function gateway(peer: SoakNode, family: Family): string {
  return Cidr.parse(peer.podCidr(family)).first().toString();
}

/** True where every peer of the cluster is reached through the device. */
export function tunnels({ backend }: SoakNode): boolean {
  return backend === 'vxlan';
}

/** True where there is a VXLAN device. */
export function hasDevice({ backend }: SoakNode): boolean {
  return BACKEND_FACTS[backend].tunnel;
}

/** The routes to some peers are deleted, or those to all. */
export function routesDeleted(draw: Draw): Attempt {
  const { node, random } = draw;
  const { family, name } = device(draw);
  const all = `ip ${flag(family)} route flush root ${POD_NETWORKS[family]} proto boot`;
  if (random.chance(0.3)) return commands(draw, all);
  const routes = somePeers(draw).map((peer) => {
    const way = tunnels(node) ? `dev ${name}` : `via ${peer.address(family)} dev eth0`;
    return `ip ${flag(family)} route del ${peer.podCidr(family)} ${way}`;
  });
  return commands(draw, ...routes);
}

/** The MAC that `node` has for a peer's gateway; undefined while it knows no such peer. */
export function liveMac(node: SoakNode, peer: SoakNode, family: Family): string | undefined {
  const neighbours = node.rtnetlink.neighbours({ family });
  return neighbours.find(({ ip }) => ip.toString() === gateway(peer, family))?.mac?.toString();
}

/** What a fault does is only said when it runs: the MAC of a peer stands in its Node. */
export function late(draw: Draw, what: string, list: () => readonly string[]): Attempt {
  const run = () => commands(draw, ...list()).run();
  return { ...commands(draw), what, run };
}
