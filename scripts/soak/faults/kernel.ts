import { Cidr } from '#net/cidr.ts';
import type { Family } from '#net/family.ts';
import { Mac } from '#net/mac.ts';
import { KERNEL_BOUND, podsOf, type Attempt, type Draw, type FaultKind } from '../fault.ts';
import { flag, type SoakNode } from '../node.ts';
import { VTEP } from '../wanted.ts';

/** Commands on the node that cost packets between pods until they are undone. */
function commands({ node, alone }: Draw, ...list: readonly string[]): Attempt {
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
function harmless(draw: Draw, ...list: readonly string[]): Attempt {
  return { ...commands(draw, ...list), hurts: [] };
}

function device({ random, node }: Draw): { family: Family; name: string } {
  const family = random.pick(node.families);
  return { family, name: VTEP[family] };
}

/** Some of the other nodes, at least one. */
function somePeers({ cluster, random, node }: Draw): SoakNode[] {
  const others = cluster.nodes.filter((other) => other !== node);
  return random.shuffled(others).slice(0, random.between(1, others.length));
}

function gateway(peer: SoakNode, family: Family): string {
  return Cidr.parse(peer.podCidr(family)).first().toString();
}

/** The MAC that `node` has for a peer's gateway; undefined while it knows no such peer. */
function liveMac(node: SoakNode, peer: SoakNode, family: Family): string | undefined {
  const neighbours = node.rtnetlink.neighbours({ family });
  return neighbours.find(({ ip }) => ip.toString() === gateway(peer, family))?.mac?.toString();
}

/** What a fault does is only said when it runs: the MAC of a peer stands in its Node. */
function late(draw: Draw, what: string, list: () => readonly string[]): Attempt {
  const run = () => commands(draw, ...list()).run();
  return { ...commands(draw), what, run };
}

const linkFaults: readonly FaultKind[] = [
  {
    name: 'link-delete',
    on: 'node',
    weight: 2,
    draw: (draw) => commands(draw, `ip link delete ${device(draw).name}`),
  },
  {
    name: 'link-down',
    on: 'node',
    draw: (draw) => commands(draw, `ip link set ${device(draw).name} down`),
  },
  {
    name: 'link-mac',
    on: 'node',
    draw: (draw) =>
      commands(draw, `ip link set ${device(draw).name} address ${Mac.local(draw.random.bytes(6))}`),
  },
  {
    name: 'link-mtu',
    on: 'node',
    draw: (draw) => harmless(draw, `ip link set ${device(draw).name} mtu ${draw.random.between(1280, 1340)}`),
  },
  {
    name: 'link-replaced',
    on: 'node',
    draw: (draw) => {
      const { name } = device(draw);
      const kind = draw.random.pick([
        'type bridge',
        'type vxlan id 77 dstport 4789',
        'type vxlan id 1 dstport 9999',
      ]);
      return commands(draw, `ip link delete ${name}`, `ip link add ${name} ${kind}`);
    },
  },
  {
    name: 'address-delete',
    on: 'node',
    // With its last address a device loses its neighbours and routes.
    draw: (draw) => commands(draw, `ip addr flush dev ${device(draw).name} scope global`),
  },
];

const entryFaults: readonly FaultKind[] = [
  {
    name: 'routes-delete',
    on: 'node',
    weight: 2,
    draw: (draw) => {
      const { family, name } = device(draw);
      if (draw.random.chance(0.3))
        return commands(draw, `ip ${flag(family)} route flush dev ${name} proto boot`);
      const routes = somePeers(draw).map(
        (peer) => `ip ${flag(family)} route del ${peer.podCidr(family)} dev ${name}`,
      );
      return commands(draw, ...routes);
    },
  },
  {
    name: 'neighbours-delete',
    on: 'node',
    draw: (draw) => {
      const { family, name } = device(draw);
      if (draw.random.chance(0.3))
        return commands(draw, `ip ${flag(family)} neigh flush dev ${name} nud permanent`);
      return commands(
        draw,
        ...somePeers(draw).map((peer) => `ip neigh del ${gateway(peer, family)} dev ${name}`),
      );
    },
  },
  {
    name: 'fdb-delete',
    on: 'node',
    draw: (draw) => {
      const { family, name } = device(draw);
      const peers = somePeers(draw);
      const what = `bridge fdb del ... dev ${name} (${peers.map((peer) => peer.name).join(', ')})`;
      return late(draw, what, () =>
        peers.map((peer) => {
          return `bridge fdb del ${liveMac(draw.node, peer, family)} dev ${name} dst ${peer.address(family)}`;
        }),
      );
    },
  },
  {
    name: 'entry-changed',
    on: 'node',
    weight: 2,
    draw: (draw) => {
      const { family, name } = device(draw);
      const [peer] = somePeers(draw);
      if (peer === undefined) return commands(draw);
      const wrong = Mac.local(draw.random.bytes(6));
      switch (draw.random.between(1, 3)) {
        case 1:
          return commands(
            draw,
            `ip neigh replace ${gateway(peer, family)} lladdr ${wrong} nud permanent dev ${name}`,
          );
        case 2:
          return commands(draw, `ip ${flag(family)} route replace ${peer.podCidr(family)} dev eth0`);
        default:
          return late(draw, `bridge fdb replace ... dst (nobody) dev ${name} (${peer.name})`, () => {
            return [
              `bridge fdb replace ${liveMac(draw.node, peer, family)} dst ${NOBODY[family]} dev ${name}`,
            ];
          });
      }
    },
  },
  {
    name: 'foreign-entries',
    on: 'node',
    weight: 2,
    draw: (draw) => {
      const { family, name } = device(draw);
      const mac = Mac.local(draw.random.bytes(6));
      const { subnet, host, address } = FOREIGN[family];
      const all = [
        `ip ${flag(family)} route add ${subnet} via ${host} dev ${name} onlink`,
        `ip neigh replace ${host} lladdr ${mac} nud permanent dev ${name}`,
        `bridge fdb append ${mac} dst ${NOBODY[family]} dev ${name}`,
        `ip addr add ${address} dev ${name}`,
      ];
      return harmless(draw, ...draw.random.shuffled(all).slice(0, draw.random.between(1, all.length)));
    },
  },
];

/** Addresses that no node has. */
const NOBODY: Readonly<Record<Family, string>> = { ipv4: '192.168.50.250', ipv6: 'fd50::fa' };
const FOREIGN: Readonly<Record<Family, { subnet: string; host: string; address: string }>> = {
  ipv4: { subnet: '10.244.240.0/24', host: '10.244.240.0', address: '10.244.241.1/32' },
  ipv6: { subnet: 'fd44:0:0:f0::/64', host: 'fd44:0:0:f0::', address: 'fd44:0:0:f1::1/128' },
};

/** How many routes come and go to make the kernel's notifications too many to be read. */
const STORM = 4000;

const otherFaults: readonly FaultKind[] = [
  {
    name: 'netlink-storm',
    on: 'node',
    draw: (draw) => {
      const { node } = draw;
      const { name } = device(draw);
      return {
        ...commands(draw, `ip link delete ${name}`),
        what: `${STORM} foreign routes come and go, with ip link delete ${name} among them`,
        run: async () => {
          await node.ip('link add storm type veth peer name storm-end');
          await node.ip('link set storm up');
          await Promise.all([node.batch(stormLines('add')), node.ip(`link delete ${name}`)]);
          await node.ip('link delete storm');
        },
      };
    },
  },
  {
    name: 'rules-flushed',
    on: 'node',
    weight: 2,
    draw: ({ cluster, random, node }) => {
      const lists = cluster.traffic === 'nftables' ? NFT : IPTABLES;
      const list = random.pick(lists);
      return {
        what: list,
        hurts: [{ node: node.name, what: 'world' }],
        // The iptables mode looks once in five seconds.
        bound: KERNEL_BOUND + (cluster.traffic === 'nftables' ? 0 : 5000),
        run: async () => void (await node.run(...list.split(' '))),
      };
    },
  },
  {
    name: 'subnet-env',
    on: 'node',
    draw: ({ random, node }) => {
      const path = '/run/flannel/subnet.env';
      const command = random.pick([
        `rm ${path}`,
        `truncate -s 0 ${path}`,
        `cp /etc/hostname ${path}`,
        'rm -r /run/flannel',
      ]);
      return {
        what: command,
        hurts: [],
        bound: KERNEL_BOUND,
        run: async () => void (await node.run(...command.split(' '))),
      };
    },
  },
];

const NFT = [
  'nft delete table ip flannel-ipv4',
  'nft flush table ip flannel-ipv4',
  'nft flush chain ip flannel-ipv4 postrtg',
  'nft insert rule ip flannel-ipv4 postrtg ip saddr 10.244.0.0/16 return',
  'nft flush ruleset',
] as const;
const IPTABLES = [
  'iptables -w -t nat -F',
  'iptables -w -F',
  'iptables -w -t nat -F FLANNEL-POSTRTG',
] as const;

function stormLines(verb: 'add'): string[] {
  return Array.from(
    { length: STORM },
    (_, at) => `route ${verb} 172.30.${at >> 8}.${at & 255}/32 dev storm table 77`,
  );
}

/** What somebody does to the kernel of a node. */
export const KERNEL_FAULTS: readonly FaultKind[] = [...linkFaults, ...entryFaults, ...otherFaults];
