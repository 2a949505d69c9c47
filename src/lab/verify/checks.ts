import type { Question } from '../probe/ask.ts';
import { addressOf, placesOf, type Place } from '../process/places.ts';
import { Cidr } from '#net/cidr.ts';
import {
  ECHO_PORT,
  NODE_PORT,
  SERVICE_IP,
  SERVICE_PORT,
  vtepAddress,
  WORLD_IP,
} from '../state/address-plan.ts';
import type { LabState } from '../state/state.ts';

/** A question with the answer that the network model demands. */
export interface Expectation extends Question {
  readonly to: string;
  /** Who must answer. */
  readonly server: string;
  /** The source address that the answering side must have seen. */
  readonly seen: string;
  /** The asking side must have used the address that was seen: nobody translated it. */
  readonly untranslated: boolean;
}

export interface Check {
  /** Which part of the Kubernetes network model it proves. */
  readonly part: string;
  readonly title: string;
  /** What the evidence shows, e.g. `no NAT`. */
  readonly meaning: string;
  readonly expectations: readonly Expectation[];
}

/** More than one segment at an MTU of 1450: a wrong MTU shows. */
const SEGMENTS = 4000;
/** With more nodes than this each asks only the next one: the number of ways grows with the square. */
const ALL_PAIRS = 6;

type Pod = Extract<Place, { kind: 'pod' }>;
type Node = Extract<Place, { kind: 'node' }>;

interface Cluster {
  readonly nodes: readonly Node[];
  readonly pods: readonly Pod[];
  readonly world: Place;
  /** The pod behind the service. */
  readonly endpoint: Pod;
  /** Packets between nodes go through VXLAN; else they are routed as they are. */
  readonly tunnel: boolean;
}

/** The checks of the Kubernetes network model for this lab: four requirements, four behaviours, and the way out. */
export function planChecks(state: LabState): Check[] {
  const cluster = clusterOf(state);
  if (cluster === undefined) return [];
  return [
    podsOfOneNode(cluster),
    podsAcrossNodes(cluster),
    nodeToItsPods(cluster),
    hostToRemotePods(cluster),
    remotePodsToHost(cluster),
    loopback(cluster),
    clusterService(cluster),
    nodePort(cluster),
    outsideWorld(cluster),
  ].filter((check) => check.expectations.length > 0);
}

function clusterOf(state: LabState): Cluster | undefined {
  const places = placesOf(state);
  const nodes = places.filter((place) => place.kind === 'node');
  const pods = places.filter((place) => place.kind === 'pod');
  const world = places.find((place) => place.kind === 'world');
  const endpoint = pods.find((pod) => pod.node.name === nodes.at(-1)?.name);
  const tunnel = state.options.backend === 'vxlan';
  return world === undefined || endpoint === undefined ? undefined : { nodes, pods, world, endpoint, tunnel };
}

interface Direct {
  readonly from: Place;
  readonly to: Place;
  readonly seen: string;
  readonly untranslated?: boolean;
  /** Where to find `to`; default its own address. */
  readonly host?: string;
}

/** One way by TCP, with enough bytes to show a wrong MTU, and by UDP. */
function both(way: Direct): Expectation[] {
  const { from, to, seen, untranslated = true, host = addressOf(to) } = way;
  const common = { from, to: to.name, server: to.name, seen, untranslated };
  return [
    { ...common, request: { proto: 'tcp', host, port: ECHO_PORT, bytes: SEGMENTS } },
    { ...common, request: { proto: 'udp', host, port: ECHO_PORT } },
  ];
}

function podsOfOneNode({ nodes, pods }: Cluster): Check {
  const expectations = nodes.flatMap((node) => {
    const own = pods.filter((pod) => pod.node.name === node.name);
    return own.flatMap((from) =>
      own.filter((to) => to !== from).flatMap((to) => both({ from, to, seen: from.pod.ip })),
    );
  });
  return { part: 'requirement 1', title: 'pod ↔ pod on one node', meaning: 'no NAT', expectations };
}

/** Ordered pairs of nodes. */
function pairs(nodes: readonly Node[]): (readonly [Node, Node])[] {
  if (nodes.length <= ALL_PAIRS)
    return nodes.flatMap((a) => nodes.filter((b) => b !== a).map((b) => [a, b] as const));
  return nodes.flatMap((a, at) => {
    const b = nodes[(at + 1) % nodes.length];
    return b === undefined ? [] : [[a, b] as const];
  });
}

function firstPod(pods: readonly Pod[], node: Node): Pod[] {
  return pods.filter((pod) => pod.node.name === node.name).slice(0, 1);
}

function podsAcrossNodes({ nodes, pods }: Cluster): Check {
  const expectations = pairs(nodes).flatMap(([a, b]) =>
    firstPod(pods, a).flatMap((from) =>
      firstPod(pods, b).flatMap((to) => both({ from, to, seen: from.pod.ip })),
    ),
  );
  return {
    part: 'requirement 1, behaviour 2',
    title: 'pod ↔ pod across nodes',
    meaning: 'no NAT',
    expectations,
  };
}

function nodeToItsPods({ nodes, pods }: Cluster): Check {
  const expectations = nodes.flatMap((from) =>
    pods
      .filter((pod) => pod.node.name === from.name)
      .flatMap((to) => both({ from, to, seen: bridgeAddress(from) })),
  );
  return { part: 'requirement 2', title: 'node → its own pods', meaning: 'from cni0, no NAT', expectations };
}

/** Without a tunnel the node's own address goes on the wire; rule 5 of flannel masquerades it to itself. */
function hostToRemotePods({ nodes, pods, tunnel }: Cluster): Check {
  const expectations = pairs(nodes).flatMap(([from, b]) =>
    firstPod(pods, b).flatMap((to) =>
      tunnel
        ? both({ from, to, seen: vtepAddress(from.node.podCidr) })
        : both({ from, to, seen: from.node.ip, untranslated: false }),
    ),
  );
  return {
    part: 'requirement 3',
    title: 'host network → pods of other nodes',
    meaning: tunnel ? 'from flannel.1, no NAT' : "from the node's own address",
    expectations,
  };
}

/** Without a tunnel by TCP alone: an answer by UDP would come from the address of the interface that it leaves by. */
function withinPodNetwork({ from, to }: { from: Pod; to: Node }, tunnel: boolean): Expectation[] {
  const host = tunnel ? vtepAddress(to.node.podCidr) : bridgeAddress(to);
  const ways = both({ from, to, seen: from.pod.ip, host });
  return tunnel ? ways : ways.filter(({ request }) => request.proto === 'tcp');
}

/** By an address in the pod network nothing is translated; by its own address flannel's rule 4 holds, as for the world. */
function remotePodsToHost({ nodes, pods, tunnel }: Cluster): Check {
  const expectations = pairs(nodes).flatMap(([a, to]) =>
    firstPod(pods, a).flatMap((from) => [
      ...withinPodNetwork({ from, to }, tunnel),
      ...both({ from, to, seen: from.node.ip, untranslated: false }),
    ]),
  );
  return {
    part: 'requirement 3',
    title: 'pod → host network of other nodes',
    meaning: `no NAT to ${tunnel ? 'its overlay address' : 'cni0'}; masqueraded to its own, which lies outside the pod network`,
    expectations,
  };
}

function loopback({ pods }: Cluster): Check {
  const expectations = pods.flatMap((pod) =>
    both({ from: pod, to: pod, seen: '127.0.0.1', host: '127.0.0.1' }),
  );
  return { part: 'behaviour 1', title: 'loopback inside a pod', meaning: '127.0.0.1', expectations };
}

/** What the endpoint sees of a packet that `node` masquerades: its address on the way there. */
function masqueradedBy(node: Node, { endpoint, tunnel }: Cluster): string {
  if (node.name === endpoint.node.name) return bridgeAddress(node);
  return tunnel ? vtepAddress(node.node.podCidr) : node.node.ip;
}

function clusterService(cluster: Cluster): Check {
  const { nodes, pods, endpoint } = cluster;
  const ask = (from: Place, seen: string, untranslated: boolean): Expectation => ({
    from,
    to: 'service',
    server: endpoint.name,
    seen,
    untranslated,
    request: { proto: 'tcp', host: SERVICE_IP, port: SERVICE_PORT, bytes: SEGMENTS },
  });
  const expectations = [
    ...pods.filter((pod) => pod !== endpoint).map((pod) => ask(pod, pod.pod.ip, true)),
    ...nodes.map((node) => ask(node, masqueradedBy(node, cluster), false)),
  ];
  return {
    part: 'behaviour 3',
    title: 'cluster service',
    meaning: `${SERVICE_IP} leads to ${endpoint.name}`,
    expectations,
  };
}

function nodePort(cluster: Cluster): Check {
  const { nodes, world, endpoint } = cluster;
  const expectations = nodes.map((node): Expectation => ({
    from: world,
    to: `${node.name}:${NODE_PORT}`,
    server: endpoint.name,
    seen: masqueradedBy(node, cluster),
    untranslated: false,
    request: { proto: 'tcp', host: node.node.ip, port: NODE_PORT, bytes: SEGMENTS },
  }));
  return {
    part: 'behaviour 4',
    title: 'outside world → node port',
    meaning: `leads to ${endpoint.name}`,
    expectations,
  };
}

function outsideWorld({ pods, world }: Cluster): Check {
  const expectations = pods.flatMap((from) =>
    both({ from, to: world, seen: from.node.ip, untranslated: false, host: WORLD_IP }),
  );
  return {
    part: 'the way out',
    title: 'pod → outside world',
    meaning: "masqueraded to the node's address",
    expectations,
  };
}

/** cni0's: the first usable address of the node's range. */
function bridgeAddress({ node }: Node): string {
  return Cidr.parse(node.podCidr).first().add(1).toString();
}
