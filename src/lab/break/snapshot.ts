import { withNetns } from '#ffi/netns.ts';
import { Nftables } from '#nftables/connection.ts';
import type { Table } from '#nftables/objects.ts';
import { ruleText } from '#nftables/text.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import type { Link } from '#rtnetlink/link.ts';
import { enterArgv, openNetns, type Place } from '../process/places.ts';
import { peerRoutes } from '../process/peer-routes.ts';
import { runOrThrow } from '../process/run.ts';

/** What the agent of a node has written into its kernel, one line per object, in a form that compares. */
export type Snapshot = readonly string[];

export interface SnapshotOptions {
  readonly place: Place;
  readonly traffic: 'iptables' | 'nftables';
  readonly env: Readonly<Record<string, string>>;
}

/** Reads the VXLAN device, its address, neighbours and FDB, the routes to other nodes' pods, and flannel's traffic rules. */
export async function takeSnapshot(options: SnapshotOptions): Promise<Snapshot> {
  return [...overlayLines(options.place), ...(await ruleLines(options))];
}

/** What stood in `before` and is not in `now`. */
export function missingFrom(before: Snapshot, now: Snapshot): string[] {
  const there = new Set(now);
  return before.filter((line) => !there.has(line));
}

function overlayLines(place: Place): string[] {
  using netns = openNetns(place);
  using net = Rtnetlink.openIn(netns);
  const links = net.links();
  const name = (index: number | undefined) => links.find((link) => link.index === index)?.name;
  const devices = links.filter((link) => link.kind?.type === 'vxlan');
  const routes = peerRoutes(net).map(
    ({ dst, gateway, link, onlink }) =>
      `route ${dst} via ${gateway} dev ${name(link)}${onlink ? ' onlink' : ''}`,
  );
  return [...devices.flatMap((link) => deviceLines(net, link)), ...routes];
}

function deviceLines(net: Rtnetlink, link: Link): string[] {
  const { name, index, mac, mtu, up, kind } = link;
  if (kind?.type !== 'vxlan') return [];
  const state = up ? 'up' : 'down';
  const filter = { link: index, family: 'ipv4' } as const;
  return [
    `link ${name} ${mac} mtu ${mtu} ${state} vxlan id ${kind.vni} local ${kind.local} dstport ${kind.port}`,
    ...net.addresses(filter).map(({ cidr }) => `address ${cidr} dev ${name}`),
    ...net.neighbours(filter).map(({ ip, mac }) => `neighbour ${ip} lladdr ${mac} dev ${name}`),
    ...net.fdb({ link: index }).map(({ mac, dst }) => `fdb ${mac} dst ${dst} dev ${name}`),
  ];
}

async function ruleLines({ place, traffic, env }: SnapshotOptions): Promise<string[]> {
  if (traffic === 'nftables') return nftablesLines(place);
  const saved = await runOrThrow(enterArgv(place, ['iptables-save']), { env });
  return saved
    .split('\n')
    .filter((line) => line.startsWith('-A') && /flannel/i.test(line))
    .map((line) => `rule ${line}`);
}

function nftablesLines(place: Place): string[] {
  using netns = openNetns(place);
  using nftables = withNetns(netns, () => Nftables.open());
  const table = nftables.read({ family: 'ip', name: 'flannel-ipv4' });
  return table === undefined ? [] : tableLines(table);
}

function tableLines(table: Table): string[] {
  return table.chains.flatMap(({ name, rules }) =>
    rules.map((rule, at) => `rule ${table.family} ${table.name} ${name} ${at + 1}: ${ruleText(rule)}`),
  );
}
