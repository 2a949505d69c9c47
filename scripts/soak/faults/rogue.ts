import { systemClock } from '#base/clock.ts';
import { Mac } from '#net/mac.ts';
import { rogueAddress, rogueSubnet } from '../addresses.ts';
import { BACKEND_FACTS } from '../backends.ts';
import { podsOf, type Attempt, type Draw, type FaultKind } from '../fault.ts';
import { publishedBy } from '../node-text.ts';
import { saidBy } from '../log.ts';

/** A change of a Node goes through the API server and all agents, ms. */
const NODE_BOUND = 5000;
/** In the middle another fault may still keep the API server away, ms. */
const MIDDLE_BOUND = 25_000;

interface Rogue {
  readonly name: string;
  readonly podCidrs: readonly string[];
  readonly addresses: Readonly<Record<'ipv4' | 'ipv6', string>>;
}

/** The Node comes, everything is as planned with it, and it goes. `warned` looks for what has to be said meanwhile. */
function visit(draw: Draw, rogue: Rogue, warned: () => Promise<void>): Pick<Attempt, 'run'> {
  const { cluster, random, settled, alone } = draw;
  const mac = Mac.local(random.bytes(6)).toString();
  const pause = random.between(0, 1500);
  const { name, podCidrs, addresses } = rogue;
  const { type } = BACKEND_FACTS[cluster.backend];
  const annotations = publishedBy(cluster.families, { type, mac, addresses });
  const [podCIDR = ''] = podCidrs;
  return {
    run: async () => {
      cluster.api.nodes.create({
        metadata: { name, annotations },
        spec: { podCIDR, podCIDRs: [...podCidrs] },
      });
      try {
        await settled(MIDDLE_BOUND);
        if (alone) await warned();
        await systemClock.sleep(pause);
      } finally {
        cluster.api.nodes.delete(name);
      }
    },
  };
}

/** Nodes that publish what is another one's. */
export const ROGUE_FAULTS: readonly FaultKind[] = [
  {
    name: 'rogue-pod-cidr',
    on: 'node',
    weight: 2,
    draw: (draw) => {
      const { cluster, node, random } = draw;
      // The first by name has the subnet, for every agent alike: now and then that is the rogue.
      const wins = random.chance(0.3);
      const name = wins ? `a-rogue-${node.name}` : `rogue-${node.name}`;
      const [winner, loser] = wins ? [name, node.name] : [node.name, name];
      const others = cluster.nodes.filter((other) => other !== node);
      const marks = new Map(cluster.nodes.map((each) => [each, each.agent?.logSize ?? 0]));
      const rogue = { name, podCidrs: node.podCidrs, addresses: rogueAddress(node.index) };
      return {
        what: `Node ${name} with the podCIDR of ${node.name} joins, and leaves`,
        hurts: wins ? podsOf(node) : [],
        bound: NODE_BOUND,
        ...visit(draw, rogue, async () => {
          const quarrel = `two peers claim the same thing.* winner=${winner} loser=${loser}$`;
          for (const other of others) await saidBy(other, quarrel, marks.get(other));
          await saidBy(node, `peer=${name} reason=.*its subnet .* overlaps`, marks.get(node));
        }),
      };
    },
  },
  {
    name: 'rogue-address',
    on: 'node',
    draw: (draw) => {
      const { cluster, node } = draw;
      const name = `rogue-${node.name}`;
      const mark = node.agent?.logSize;
      const addresses = { ipv4: node.address('ipv4'), ipv6: node.address('ipv6') };
      const podCidrs = cluster.families.map((family) => rogueSubnet(family, node.index));
      return {
        what: `Node ${name} with the public IP of ${node.name} joins, and leaves`,
        hurts: [],
        bound: NODE_BOUND,
        ...visit(draw, { name, podCidrs, addresses }, () =>
          saidBy(node, `peer=${name} reason=.*this node's own address`, mark),
        ),
      };
    },
  },
];
