import type { HopView, LabNode, LabView, WalkView } from '../../src/page/model.ts';
import { FakeCluster } from './cluster.ts';

/** A lab of `count` nodes with two pods each. */
export function fakeLab(count: number, now: () => number): LabView {
  const names = Array.from({ length: count }, (_, i) => `n${i + 1}`);
  const nodes = names.map((name, i): LabNode => {
    const full = new FakeCluster({ peers: 0, pods: 2, hostile: false, now }).overview();
    const peers = names
      .map((other, n) => ({ other, n }))
      .filter(({ n }) => n !== i)
      .map(({ other, n }) => ({
        name: other,
        subnets: [`10.244.${n + 1}.0/24`],
        publicIps: [`192.168.50.${n + 11}`],
        vtepMac: `02:4f:00:00:00:${String(n + 1).padStart(2, '0')}`,
        state: 'tunnel' as const,
      }));
    const pods = full.pods.map((pod, n) => ({
      ...pod,
      name: `${name}-${'ab'[n]}`,
      addresses: [`10.244.${i + 1}.${n + 2}`],
    }));
    const subnet = `10.244.${i + 1}.0/24`;
    return {
      name,
      ip: `192.168.50.${i + 11}`,
      agent: 'running',
      overview: {
        ...full,
        pods,
        peers: { wanted: count - 1, programmed: count - 1, leftOut: 0, revision: 1 },
        ...(full.node === undefined
          ? {}
          : { node: { ...full.node, name, subnets: [subnet], publicIps: [`192.168.50.${i + 11}`] } }),
      },
      peers,
    };
  });
  const places = [...names.flatMap((name) => [`${name}-a`, `${name}-b`]), ...names, 'world'];
  return { schema: 1, name: 'lab', now: now(), backend: 'vxlan', nodes, places };
}

/** The way of one packet from a pod of one node to a pod of another, and back. */
export function fakeWalk(lab: LabView, from: string, to: string): WalkView {
  const [a, b] = [from, to].map((place) =>
    lab.nodes.find(({ overview }) => overview?.pods.some(({ name }) => name === place)),
  );
  if (a === undefined || b === undefined || a === b) {
    return {
      schema: 1,
      from,
      to,
      request: [],
      reply: [],
      arrived: false,
      error: `${to} did not answer within 2 s`,
    };
  }
  return {
    schema: 1,
    from,
    to,
    request: way(a, b, [from, to], 0),
    reply: way(b, a, [to, from], 640),
    arrived: true,
  };
}

function way(
  a: LabNode,
  b: LabNode,
  [from, to]: readonly [string, string] | string[],
  start: number,
): HopView[] {
  const pods = [a, b].map((node, i) => node.overview?.pods.find(({ name }) => name === [from, to][i]));
  const [source, target] = pods.map((pod) => pod?.addresses[0] ?? '');
  const line = (ttl: number) => `${source}:50843 → ${target}:8080 UDP TTL ${ttl}`;
  const outer = [
    `outer ${a.ip}:43936 → ${b.ip}:8472 UDP TTL 64`,
    'outer MAC 02:00:c0:a8:32:0b → 02:00:c0:a8:32:0c',
    `VXLAN VNI 1, inner ${line(63)}`,
  ];
  const subnet = b.overview?.node?.subnets[0] ?? '';
  const node = (name: string) => ({ kind: 'node', name }) as const;
  const hops: Omit<HopView, 'us'>[] = [
    hop({ kind: 'pod', name: from ?? '' }, 'eth0', true, [line(64)], `route default via the bridge dev eth0`),
    hop(node(a.name), pods[0]?.veth ?? '', false, [line(64)], 'the other end of the pod’s cable'),
    hop(node(a.name), 'cni0', false, [line(64)], 'its port of the bridge'),
    hop(
      node(a.name),
      'flannel.1',
      true,
      [line(63)],
      `node route ${subnet} via ${subnet.replace('/24', '')} dev flannel.1 onlink; the neighbour is the peer’s VTEP`,
    ),
    hop(
      node(a.name),
      'eth0',
      true,
      outer,
      `FDB of flannel.1: the VTEP is behind ${b.ip}, so it is wrapped in UDP 8472 (50 bytes more)`,
    ),
    hop({ kind: 'underlay', name: 'underlay' }, 'br0', false, outer, 'the switch between the nodes'),
    hop(node(b.name), 'eth0', false, outer, 'the outer packet is for this node'),
    hop(node(b.name), 'flannel.1', false, [line(63)], 'unwrapped: VNI 1 is that of flannel.1'),
    hop(node(b.name), 'cni0', true, [line(62)], `${subnet} is on the bridge`),
    hop(node(b.name), pods[1]?.veth ?? '', true, [line(62)], 'the bridge has learnt the pod’s MAC there'),
    hop({ kind: 'pod', name: to ?? '' }, 'eth0', false, [line(62)], 'the pod has this address'),
  ];
  return hops.map((one, i) => ({ ...one, us: start + i * 41 + (i > 4 ? 90 : 0) }));
}

function hop(
  place: HopView['place'],
  device: string,
  outgoing: boolean,
  packet: readonly string[],
  why: string,
): Omit<HopView, 'us'> {
  return { place, device, outgoing, packet, why, wrapped: packet.length > 1 };
}
