import { systemClock } from '#base/clock.ts';
import { allOf, type Draw, type FaultKind } from '../fault.ts';
import type { SoakNode } from '../node.ts';

/** The agent waits half a second for an address to come back, and then starts over, ms. */
const EXTERNAL_BOUND = 8000;

/**
 * The switch's end of a veth pair takes part again only when the kernel's link watch has run, once a second, and a question
 * for a neighbour that was asked too early is repeated after another second, ms.
 */
const LINK_WATCH = 2500;

/** IPv6 addresses do not outlive their link's going down. */
async function addIpv6(node: SoakNode): Promise<void> {
  if (node.families.includes('ipv6'))
    await node.ip(`-6 addr replace ${node.onUnderlay('ipv6')} dev eth0 nodad`);
}

/** Gives the node its other address on the underlay, as a DHCP server would. */
async function move(node: SoakNode): Promise<void> {
  const moved = !node.moved;
  for (const family of node.families) {
    const option = family === 'ipv6' ? ' nodad' : '';
    await node.ip(`addr del ${node.onUnderlay(family)} dev eth0`);
    await node.ip(`addr add ${node.onUnderlay(family, moved)} dev eth0${option}`);
  }
  node.moved = moved;
  await node.addDefaultRoutes();
}

/** A new device in the place of the one that was removed, with everything that an operator had set. */
async function replace({ cluster, node }: Draw, pause: number): Promise<void> {
  await node.ip('link delete eth0');
  await systemClock.sleep(pause);
  cluster.connect(node);
  if (node.moved) {
    await node.ip(`addr del ${node.onUnderlay('ipv4', false)} dev eth0`);
    await node.ip(`addr add ${node.onUnderlay('ipv4')} dev eth0`);
  }
  await addIpv6(node);
  await node.ip(`link set eth0 mtu ${node.mtu}`);
  await node.addDefaultRoutes();
}

/** What happens to the interface that carries the overlay. */
export const EXTERNAL_FAULTS: readonly FaultKind[] = [
  {
    name: 'external-address',
    on: 'node',
    weight: 2,
    draw: ({ node }) => ({
      what: `eth0 gets ${node.onUnderlay('ipv4', !node.moved)} in the place of ${node.onUnderlay('ipv4')}`,
      hurts: allOf(node),
      bound: EXTERNAL_BOUND,
      run: () => move(node),
    }),
  },
  {
    name: 'external-mtu',
    on: 'node',
    draw: ({ node }) => {
      const mtu = node.mtu === 1500 ? 1400 : 1500;
      return {
        what: `ip link set eth0 mtu ${mtu}`,
        hurts: [],
        bound: EXTERNAL_BOUND,
        run: async () => {
          node.mtu = mtu;
          await node.ip(`link set eth0 mtu ${mtu}`);
        },
      };
    },
  },
  {
    name: 'external-down',
    on: 'node',
    draw: ({ node, random }) => {
      const pause = random.between(200, 3000);
      return {
        what: `eth0 down for ${pause} ms`,
        hurts: allOf(node),
        bound: EXTERNAL_BOUND,
        grace: LINK_WATCH,
        run: async () => {
          await node.ip('link set eth0 down');
          await systemClock.sleep(pause);
          await node.ip('link set eth0 up');
          await addIpv6(node);
          await node.addDefaultRoutes();
        },
      };
    },
  },
  {
    name: 'external-replaced',
    on: 'node',
    draw: (draw) => {
      const { node, random } = draw;
      const pause = random.between(0, 2500);
      return {
        what: `eth0 removed, another one in its place after ${pause} ms`,
        hurts: allOf(node),
        bound: EXTERNAL_BOUND,
        grace: LINK_WATCH,
        run: () => replace(draw, pause),
      };
    },
  },
];
