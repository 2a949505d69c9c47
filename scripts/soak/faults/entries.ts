import type { Family } from '#net/family.ts';
import { Mac } from '#net/mac.ts';
import type { FaultKind } from '../fault.ts';
import { flag } from '../node.ts';
import {
  commands,
  device,
  gateway,
  harmless,
  hasDevice,
  late,
  liveMac,
  routesDeleted,
  somePeers,
  tunnels,
} from './commands.ts';

/** What somebody does to the entries for peers. */
export const ENTRY_FAULTS: readonly FaultKind[] = [
  {
    name: 'routes-delete',
    on: 'node',
    weight: 2,
    draw: routesDeleted,
  },
  {
    name: 'neighbours-delete',
    on: 'node',
    fits: tunnels,
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
    fits: tunnels,
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
    fits: tunnels,
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
    name: 'route-changed',
    on: 'node',
    weight: 2,
    fits: (node) => !tunnels(node),
    draw: (draw) => {
      const { family } = device(draw);
      const [peer] = somePeers(draw);
      if (peer === undefined) return commands(draw);
      const way = draw.random.pick([`via ${NOBODY[family]} dev eth0`, 'dev eth0', 'dev cni0']);
      return commands(draw, `ip ${flag(family)} route replace ${peer.podCidr(family)} ${way}`);
    },
  },
  {
    name: 'foreign-entries',
    on: 'node',
    fits: hasDevice,
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
