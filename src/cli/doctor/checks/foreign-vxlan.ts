import { vxlanName, vxlanPlace } from '#backend/vxlan.ts';
import { FAMILIES } from '#net/family.ts';
import type { Link } from '#rtnetlink/link.ts';
import { socketsAt } from '../facts/udp-sockets.ts';
import { error, info, NotAsked, orOk, type Check, type Finding } from '../finding.ts';

export const foreignVxlan: Check = {
  id: 'foreign-vxlan',
  title: "VNI and UDP port of the overlay are nobody else's",
  run(facts) {
    const { backend } = facts.config();
    if (backend.type !== 'vxlan') throw new NotAsked(`backend ${backend.type} uses no VXLAN`);
    const place = vxlanPlace(backend);
    const ours = FAMILIES.map((family) => vxlanName(family, place.vni));
    const devices = facts
      .links()
      .filter(({ name }) => !ours.includes(name))
      .flatMap((link) => foreignDevice(link, place));
    return orOk([...devices, ...programs(place.port)], `VNI ${place.vni}, port ${place.port}`);
  },
};

type Place = ReturnType<typeof vxlanPlace>;

function foreignDevice({ name, kind }: Link, { vni, port }: Place): Finding[] {
  if (kind?.type !== 'vxlan' || kind.port !== port) return [];
  const cure = `ip link delete ${name} (and the program that made it), or set Backend.Port or Backend.VNI in net-conf.json on all nodes`;
  if (kind.collectMetadata === true)
    return [
      error({
        what: `device ${name} takes all VNIs on UDP port ${port}`,
        why: 'it gets the packets of the other nodes, or our device cannot be made',
        cure,
      }),
    ];
  if (kind.vni === vni)
    return [
      error({
        what: `device ${name} has VNI ${vni} on UDP port ${port}, which are Flannel's`,
        why: 'our device cannot be made, or it gets the packets of the other nodes',
        cure,
      }),
    ];
  return [
    info({
      what: `device ${name} is on UDP port ${port}, too, with VNI ${kind.vni}`,
      why: 'both work side by side; after a change of Backend.VNI it is the old one',
      cure: `nothing when it is in use, else: ip link delete ${name}`,
    }),
  ];
}

function programs(port: number): Finding[] {
  return socketsAt(port).map(({ address, program }) =>
    error({
      what: `${program} listens on UDP port ${port} (${address})`,
      why: 'our device cannot go up (EADDRINUSE), or it does not get the packets of the other nodes',
      cure: `end the program (ss -lunp sport = ${port}), or set Backend.Port in net-conf.json on all nodes`,
    }),
  );
}
