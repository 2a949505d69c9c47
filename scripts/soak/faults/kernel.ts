import { KERNEL_BOUND, type FaultKind } from '../fault.ts';
import { commands, device, hasDevice, routesDeleted } from './commands.ts';
import { ENTRY_FAULTS } from './entries.ts';
import { LINK_FAULTS } from './links.ts';

/** How many routes come and go to make the kernel's notifications too many to be read. */
const STORM = 4000;

const otherFaults: readonly FaultKind[] = [
  {
    name: 'netlink-storm',
    on: 'node',
    draw: (draw) => {
      const { node } = draw;
      const broken = hasDevice(node)
        ? commands(draw, `ip link delete ${device(draw).name}`)
        : routesDeleted(draw);
      return {
        ...broken,
        what: `${STORM} foreign routes come and go, with ${broken.what} among them`,
        run: async () => {
          await node.ip('link add storm type veth peer name storm-end');
          await node.ip('link set storm up');
          await Promise.all([node.batch(stormLines('add')), broken.run()]);
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
export const KERNEL_FAULTS: readonly FaultKind[] = [...LINK_FAULTS, ...ENTRY_FAULTS, ...otherFaults];
