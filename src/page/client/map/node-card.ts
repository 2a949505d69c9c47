import type { DeviceView, NodeView, PodView } from '../../model.ts';
import type { Box, Point, Size } from './geometry.ts';
import type { Item, Link } from './scene.ts';

const PAD = 12;
const TITLE = 44;
/** The least; few pods have more room for their names. */
const POD: Size = { w: 62, h: 30 };
const POD_WIDEST = 112;
const GAP = 6;
const DEVICE = 34;
const BRIDGE = 16;

/** What a node's card shows: its pods on the bridge, its overlay devices, the interface to the others. */
export interface NodeCard {
  readonly name: string;
  readonly down: boolean;
  readonly node?: NodeView;
  readonly pods: readonly PodView[];
}

export interface PlacedCard {
  readonly items: readonly Item[];
  readonly links: readonly Link[];
}

function columnsOf(pods: number): number {
  return Math.max(1, Math.min(4, pods), Math.min(16, Math.ceil(Math.sqrt(pods * 2))));
}

export function cardSize({ pods, node }: NodeCard): Size {
  const columns = columnsOf(pods.length);
  const rows = Math.max(1, Math.ceil(pods.length / columns));
  const devices = Math.max(1, (node?.devices.length ?? 1) + 1);
  const w = Math.max(columns * (POD.w + GAP) - GAP, devices * 134 - GAP, 260) + 2 * PAD;
  return { w, h: PAD + TITLE + DEVICE + 14 + BRIDGE + 14 + rows * (POD.h + GAP) - GAP + PAD };
}

/** The id of a pod: by its interface on the host, else by its first address. */
export function podKey(pod: PodView): string {
  return pod.veth ?? pod.addresses[0] ?? pod.container ?? '';
}

export function placeCard(card: NodeCard, box: Box): PlacedCard {
  const { name, node, pods } = card;
  const inner = box.w - 2 * PAD;
  const devicesTop = box.y + PAD + TITLE;
  const bridgeTop = devicesTop + DEVICE + 14;
  const bridge: Box = { x: box.x + PAD, y: bridgeTop, w: inner, h: BRIDGE };
  const items: Item[] = [
    {
      id: `node ${name}`,
      kind: 'node',
      box,
      tone: card.down ? 'off' : 'node',
      title: name,
      lines: [...(node?.subnets ?? []), ...(node?.publicIps ?? [])],
      place: name,
    },
    ...deviceItems(card, { x: box.x + PAD, y: devicesTop, w: inner, h: DEVICE }),
    { id: `device ${name} cni0`, kind: 'device', box: bridge, tone: 'plain', title: 'cni0', lines: [] },
  ];
  const links: Link[] = [];
  const columns = columnsOf(pods.length);
  const w = Math.min(POD_WIDEST, (inner + GAP) / columns - GAP);
  const width = columns * (w + GAP) - GAP;
  pods.forEach((pod, i) => {
    const x = box.x + (box.w - width) / 2 + (i % columns) * (w + GAP);
    const y = bridgeTop + BRIDGE + 14 + Math.floor(i / columns) * (POD.h + GAP);
    const item = podItem(name, pod, { x, y, w, h: POD.h });
    items.push(item);
    // Only the row below the bridge has room for a line.
    if (i < columns) links.push(stub(item, { x: x + w / 2, y: bridgeTop + BRIDGE }));
  });
  return { items, links };
}

function deviceItems({ name, node, pods }: NodeCard, row: Box): Item[] {
  const devices = (node?.devices ?? []).filter((device) => device.name !== 'cni0');
  const external = node?.external;
  const all = [
    ...devices.map((device) => deviceText(device)),
    ...(external === undefined
      ? []
      : [{ title: external.name, lines: node?.publicIps.slice(0, 1) ?? [], up: true, overlay: false }]),
  ];
  const w = (row.w - GAP * Math.max(0, all.length - 1)) / Math.max(1, all.length);
  return all.map(({ title, lines, up, overlay }, i) => ({
    id: `device ${name} ${title}`,
    kind: 'device',
    box: { ...row, x: row.x + i * (w + GAP), w },
    tone: !up ? 'refused' : overlay ? 'tunnel' : 'plain',
    title,
    lines,
    ...(pods.length >= 0 && overlay ? { meter: `device ${name} ${title}` } : {}),
  }));
}

function deviceText(device: DeviceView) {
  const vni = device.vni === undefined ? [] : [`VNI ${device.vni}`];
  const line = [...vni, ...(device.mac === undefined ? [] : [device.mac])].join(' · ');
  return { title: device.name, lines: line === '' ? [] : [line], up: device.up === true, overlay: true };
}

function podItem(node: string, pod: PodView, box: Box): Item {
  const address = pod.addresses[0] ?? '';
  return {
    id: `pod ${node} ${podKey(pod)}`,
    kind: 'pod',
    box,
    tone: pod.namespace === 'gone' || pod.up === false ? 'refused' : pod.veth === undefined ? 'off' : 'pod',
    title: pod.name ?? shortAddress(address),
    lines: pod.name === undefined ? [] : [shortAddress(address)],
    meter: `pod ${node} ${podKey(pod)}`,
    ...(pod.name === undefined ? {} : { place: pod.name }),
  };
}

/** The part of an address in which the pods of a node differ. */
function shortAddress(address: string): string {
  const bare = address.split('/', 1)[0] ?? '';
  if (bare.includes(':')) return bare.slice(Math.max(bare.lastIndexOf(':', bare.length - 2), 0));
  const last = bare.lastIndexOf('.');
  return last < 0 ? bare : bare.slice(last);
}

function stub(pod: Item, to: Point): Link {
  return {
    from: { x: to.x, y: pod.box.y },
    to,
    bend: 0,
    tone: 'pod',
    weight: 1,
    ends: [pod.id],
    ...(pod.meter === undefined ? {} : { meter: pod.meter }),
  };
}
