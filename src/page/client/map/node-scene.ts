import type { NodeView, PeerView, PodView } from '../../model.ts';
import { around, centre, edgeTowards, type Box, type Size } from './geometry.ts';
import { groupPeers, SINGLE_UP_TO, type Group } from './groups.ts';
import { cardSize, placeCard } from './node-card.ts';
import { placeOnRings } from './rings.ts';
import { sceneOf, type Item, type Link, type Scene } from './scene.ts';

export interface NodeSceneInput {
  readonly node: NodeView;
  readonly pods: readonly PodView[];
  readonly peers: readonly PeerView[];
  /** How much wider than high the screen is. */
  readonly aspect: number;
  /** Words for the number of peers of a group and for peers without a readable subnet. */
  readonly words: { readonly count: (peers: number) => string; readonly unread: string };
}

const CARD: Size = { w: 160, h: 48 };
const CELL: Size = { w: 34, h: 13 };
const CELL_GAP = 3;
const GROUP_PAD = 6;
const GROUP_TITLE = 20;

/** This node in the middle, its peers around it: each by itself or, when they are many, gathered by prefix. */
export function nodeScene({ node, pods, peers, aspect, words }: NodeSceneInput): Scene {
  const card = { name: node.name, down: false, node, pods };
  const size = cardSize(card);
  const core: Box = { x: -size.w / 2, y: -size.h / 2, ...size };
  const centreParts = placeCard(card, core);
  const overlay = node.devices.find((device) => device.vni !== undefined) ?? node.devices[0];
  const meter = overlay === undefined ? {} : { meter: `device ${node.name} ${overlay.name}` };
  const surroundings =
    peers.length <= SINGLE_UP_TO
      ? singles(peers, size, aspect)
      : gathered(groupPeers(peers), size, { aspect, words });
  const links = surroundings.tunnels.flatMap(({ box, members, id }) =>
    strands({ box, members, id, core, meter: meter.meter }),
  );
  const items = [...centreParts.items, ...surroundings.items];
  return sceneOf(around(items.map(({ box }) => box)), items, [...links, ...centreParts.links]);
}

interface Surroundings {
  readonly items: readonly Item[];
  readonly tunnels: readonly {
    readonly id: string;
    readonly box: Box;
    readonly members: readonly PeerView[];
  }[];
}

function singles(peers: readonly PeerView[], core: Size, aspect: number): Surroundings {
  const ordered = groupPeers(peers).flatMap((group) => group.peers);
  const boxes = placeOnRings(
    ordered.map(() => CARD),
    core,
    { aspect, gap: 26, inner: 60 },
  );
  const items = ordered.map((peer, i) => peerItem(peer, boxes[i] ?? { x: 0, y: 0, ...CARD }));
  return {
    items,
    tunnels: items.map(({ id, box }, i) => ({ id, box, members: ordered.slice(i, i + 1) })),
  };
}

function peerItem(peer: PeerView, box: Box): Item {
  return {
    id: `peer ${peer.name}`,
    kind: 'peer',
    box,
    tone: peer.state,
    title: peer.name,
    lines: peer.subnets,
  };
}

function gathered(
  groups: readonly Group[],
  core: Size,
  { aspect, words }: Pick<NodeSceneInput, 'aspect' | 'words'>,
): Surroundings {
  const sizes = groups.map(({ peers }) => groupSize(peers.length));
  const boxes = placeOnRings(sizes, core, { aspect, gap: 18, inner: 46 });
  const items: Item[] = [];
  const tunnels: { id: string; box: Box; members: readonly PeerView[] }[] = [];
  groups.forEach((group, i) => {
    const box = boxes[i] ?? { x: 0, y: 0, w: 0, h: 0 };
    const id = `group ${group.prefix}`;
    const title = group.prefix === '' ? words.unread : group.prefix;
    items.push({ id, kind: 'group', box, tone: 'plain', title, lines: [words.count(group.peers.length)] });
    const columns = groupColumns(group.peers.length);
    group.peers.forEach((peer, n) => {
      const x = box.x + GROUP_PAD + (n % columns) * (CELL.w + CELL_GAP);
      const y = box.y + GROUP_PAD + GROUP_TITLE + Math.floor(n / columns) * (CELL.h + CELL_GAP);
      items.push({ ...peerItem(peer, { x, y, ...CELL }), inGroup: true });
    });
    tunnels.push({ id, box, members: group.peers });
  });
  return { items, tunnels };
}

function groupColumns(count: number): number {
  return Math.max(4, Math.ceil(Math.sqrt((count * 1.5 * CELL.h) / CELL.w)));
}

function groupSize(count: number): Size {
  const columns = groupColumns(count);
  const rows = Math.ceil(count / columns);
  return {
    w: columns * (CELL.w + CELL_GAP) - CELL_GAP + 2 * GROUP_PAD,
    h: rows * (CELL.h + CELL_GAP) - CELL_GAP + 2 * GROUP_PAD + GROUP_TITLE,
  };
}

/** One line for each state that there is among the members, side by side. A peer that is left out has none. */
function strands(bundle: {
  id: string;
  box: Box;
  core: Box;
  members: readonly PeerView[];
  meter: string | undefined;
}): Link[] {
  const { id, box, core, members, meter } = bundle;
  const states = (['tunnel', 'direct', 'refused'] as const).filter((state) =>
    members.some((peer) => peer.state === state),
  );
  const from = edgeTowards(core, centre(box));
  const to = edgeTowards(box, centre(core));
  return states.map((state, i) => ({
    from,
    to,
    bend: (i - (states.length - 1) / 2) * 0.08,
    tone: state,
    weight: members.filter((peer) => peer.state === state).length,
    ends: [id, ...(members.length === 1 ? [] : members.map((peer) => `peer ${peer.name}`))],
    // What goes by plain routes does not pass the overlay device that counts.
    ...(meter === undefined || state !== 'tunnel' ? {} : { meter }),
  }));
}
