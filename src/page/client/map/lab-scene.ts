import type { HopView, LabNode, LabView, PeerView } from '../../model.ts';
import { around, centre, edgeTowards, type Box, type Point, type Size } from './geometry.ts';
import { cardSize, placeCard, podKey, type NodeCard } from './node-card.ts';
import { placeOnRings } from './rings.ts';
import { sceneOf, type Item, type Link, type Scene, type Tone } from './scene.ts';

const UNDERLAY: Size = { w: 180, h: 40 };
const WORLD: Size = { w: 150, h: 60 };

/** All nodes of the lab around the switch that joins them, the world among them, and the tunnels between each two. `aspect`: of the screen. */
export function labScene(lab: LabView, aspect: number): Scene {
  const cards = lab.nodes.map(cardOf);
  const hasWorld = lab.places.includes('world');
  const sizes = [...cards.map(cardSize), ...(hasWorld ? [WORLD] : [])];
  const boxes = placeOnRings(sizes, UNDERLAY, { aspect, gap: 40, inner: 90 });
  const hub: Box = { x: -UNDERLAY.w / 2, y: -UNDERLAY.h / 2, ...UNDERLAY };
  const items: Item[] = [
    { id: 'place underlay', kind: 'place', box: hub, tone: 'plain', title: 'underlay', lines: [] },
  ];
  const links: Link[] = [];
  const stubs: Link[] = [];
  cards.forEach((card, i) => {
    const box = boxes[i] ?? hub;
    links.push(cable(hub, box, `node ${card.name}`));
    const placed = placeCard(card, box);
    items.push(...placed.items);
    stubs.push(...placed.links);
  });
  const world = hasWorld ? boxes.at(-1) : undefined;
  if (world !== undefined) {
    const text = { title: 'world', lines: [], place: 'world' };
    items.push({ id: 'place world', kind: 'place', box: world, tone: 'world', ...text });
    links.push(cable(hub, world, 'place world'));
  }
  links.push(...tunnels(lab.nodes, items), ...stubs);
  return sceneOf(around(items.map(({ box }) => box)), items, links);
}

function cardOf({ name, agent, ip, overview }: LabNode): NodeCard {
  const unknown = { subnets: [], publicIps: [ip], external: { name: 'eth0', mtu: 0 }, devices: [] };
  const node = overview?.node ?? { name, backend: '', mtu: 0, addresses: [], ...unknown };
  return { name, down: agent === 'down', node: { ...node, name }, pods: overview?.pods ?? [] };
}

function cable(hub: Box, box: Box, end: string): Link {
  return {
    from: edgeTowards(hub, centre(box)),
    to: edgeTowards(box, centre(hub)),
    bend: 0,
    tone: 'plain',
    weight: 1,
    ends: [end, 'place underlay'],
  };
}

/** One line for two nodes, in the colour of the worse way. */
function tunnels(nodes: readonly LabNode[], items: readonly Item[]): Link[] {
  const box = new Map(items.filter(({ kind }) => kind === 'node').map((item) => [item.title, item.box]));
  const state = new Map(
    nodes.map(({ name, peers }) => [name, new Map(peers.map((peer) => [peer.name, peer.state]))]),
  );
  const links: Link[] = [];
  nodes.forEach((a, i) => {
    for (const b of nodes.slice(i + 1)) {
      const [from, to] = [box.get(a.name), box.get(b.name)];
      const tone = worse(state.get(a.name)?.get(b.name), state.get(b.name)?.get(a.name));
      if (from === undefined || to === undefined || tone === undefined || tone === 'left_out') continue;
      const meter = overlayMeter(a);
      links.push({
        from: edgeTowards(from, centre(to)),
        to: edgeTowards(to, centre(from)),
        // Outwards, so that it does not lie on the cables.
        bend: outward(centre(from), centre(to)) * 0.12,
        tone,
        weight: 1,
        ends: [`node ${a.name}`, `node ${b.name}`],
        ...(meter === undefined ? {} : { meter }),
      });
    }
  });
  return links;
}

function outward(a: Point, b: Point): 1 | -1 {
  return a.x * b.y - a.y * b.x > 0 ? 1 : -1;
}

function overlayMeter({ name, overview }: LabNode): string | undefined {
  const device = overview?.node?.devices.find(({ vni }) => vni !== undefined);
  return device === undefined ? undefined : `device ${name} ${device.name}`;
}

function worse(a: PeerView['state'] | undefined, b: PeerView['state'] | undefined): Tone | undefined {
  const order: readonly PeerView['state'][] = ['refused', 'left_out', 'direct', 'tunnel'];
  return order.find((state) => a === state || b === state);
}

/** Where in the scene a packet is seen: at the device, else at the place. */
export function hopPoint(
  scene: Scene,
  lab: LabView,
  hop: Pick<HopView, 'place' | 'device'>,
): Point | undefined {
  const { kind, name } = hop.place;
  if (kind === 'world') return spot(scene.byId.get('place world'));
  if (kind === 'underlay') return port(scene, hop.device);
  if (kind === 'pod') return spot(scene.items.find((item) => item.kind === 'pod' && item.place === name));
  const device = scene.byId.get(`device ${name} ${hop.device}`);
  if (device !== undefined) return spot(device);
  // The host's end of a pod's cable: between the pod and the bridge.
  const pods = lab.nodes.find((node) => node.name === name)?.overview?.pods ?? [];
  const pod = pods.find(({ veth }) => veth === hop.device);
  const item = pod === undefined ? undefined : scene.byId.get(`pod ${name} ${podKey(pod)}`);
  if (item !== undefined) return { x: beside(item.box).x, y: item.box.y - 7 };
  return spot(scene.byId.get(`node ${name}`));
}

/** Where the cable of a node is plugged into the switch: its ports are called as the nodes are. */
function port(scene: Scene, name: string): Point | undefined {
  const hub = scene.byId.get('place underlay');
  const other = scene.byId.get(`node ${name}`) ?? scene.byId.get(`place ${name}`);
  return hub === undefined || other === undefined ? spot(hub) : edgeTowards(hub.box, centre(other.box));
}

/** In the middle of its height, to the right of its name. */
function spot(item: Item | undefined): Point | undefined {
  return item === undefined ? undefined : beside(item.box);
}

function beside({ x, y, w, h }: Box): Point {
  return { x: x + w * 0.82, y: y + h / 2 };
}
