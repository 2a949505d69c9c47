import { Mac } from '#net/mac.ts';
import type { Draw, FaultKind } from '../fault.ts';
import { commands as costly, device, harmless, hasDevice } from './commands.ts';

/** Where peers on the link have routes of their own, no packet goes through the device. */
function commands(draw: Draw, ...list: readonly string[]) {
  const unused = draw.node.backend === 'vxlan-direct' && draw.alone;
  return unused ? harmless(draw, ...list) : costly(draw, ...list);
}

/** What somebody does to the VXLAN device. */
export const LINK_FAULTS: readonly FaultKind[] = [
  {
    name: 'link-delete',
    on: 'node',
    fits: hasDevice,
    weight: 2,
    draw: (draw) => commands(draw, `ip link delete ${device(draw).name}`),
  },
  {
    name: 'link-down',
    on: 'node',
    fits: hasDevice,
    draw: (draw) => commands(draw, `ip link set ${device(draw).name} down`),
  },
  {
    name: 'link-mac',
    on: 'node',
    fits: hasDevice,
    draw: (draw) =>
      commands(draw, `ip link set ${device(draw).name} address ${Mac.local(draw.random.bytes(6))}`),
  },
  {
    name: 'link-mtu',
    on: 'node',
    fits: hasDevice,
    draw: (draw) => harmless(draw, `ip link set ${device(draw).name} mtu ${draw.random.between(1280, 1340)}`),
  },
  {
    name: 'link-replaced',
    on: 'node',
    fits: hasDevice,
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
    fits: hasDevice,
    // With its last address a device loses its neighbours and routes.
    draw: (draw) => commands(draw, `ip addr flush dev ${device(draw).name} scope global`),
  },
];
