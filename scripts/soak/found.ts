import { readdirSync, readFileSync } from 'node:fs';
import type { KubeObject } from '#lab/api/object.ts';
import { ruleText } from '#nftables/text.ts';
import { NUD, RTN, RTPROT, RT_TABLE } from '#rtnetlink/constants.ts';
import type { Link } from '#rtnetlink/link.ts';
import { FLANNEL_TABLES } from '#traffic/nftables-table.ts';
import type { Cluster } from './cluster.ts';
import type { SoakNode } from './node.ts';
import { VTEP } from './wanted-peers.ts';

/** What is there, in the words of `wantedLines`. */
export function foundLines(node: SoakNode, nodes: readonly KubeObject[]): string[] {
  const links = node.rtnetlink.links();
  const names = new Map(links.map(({ index, name }) => [index, name]));
  const vteps = links.filter(({ name }) => node.families.some((family) => VTEP[family] === name));
  const bridge = links.find(({ name }) => name === 'cni0')?.index;
  return [
    ...strangeLinks(node, links),
    ...vteps.map((vtep) => linkLine(vtep, names)),
    ...addressLines(node, names),
    ...routeLines(node, names),
    ...vteps.flatMap((vtep) => entryLines(node, vtep)),
    ...textLines(node.file('/run/flannel/subnet.env')).map((line) => `subnet.env ${line}`),
    `${links.filter(({ master }) => bridge !== undefined && master === bridge).length} ports of cni0`,
    ...folder(node.file('/var/lib/cni/flannel')).map((id) => `saved configuration ${id}`),
    ...reservations(node).map((ip) => `reservation ${ip}`),
    ...conditionLines(nodes.find(({ metadata }) => metadata.name === node.name)),
  ];
}

/** The traffic rules, with the node's own subnets made alike for all nodes. */
export async function ruleLines(cluster: Pick<Cluster, 'traffic'>, node: SoakNode): Promise<string[]> {
  const alike = (text: string) => node.podCidrs.reduce((line, own) => line.replaceAll(own, '<subnet>'), text);
  if (cluster.traffic === 'iptables') {
    const programs = node.families.map((family) => (family === 'ipv4' ? 'iptables-save' : 'ip6tables-save'));
    const saved = await Promise.all(programs.map((program) => node.run(program)));
    const lines = saved.flatMap((text) => text.split('\n'));
    return lines.filter((line) => line.startsWith('-A') && /flannel/i.test(line)).map(alike);
  }
  return node.families.flatMap((family) => {
    const key = FLANNEL_TABLES[family];
    return (node.nftables.read(key)?.chains ?? []).flatMap((chain) =>
      chain.rules.map((rule) => alike(`${key.name} ${chain.name}: ${ruleText(rule)}`)),
    );
  });
}

/** Devices that nobody has a use for. */
function strangeLinks(node: SoakNode, links: readonly Link[]): string[] {
  const known = new Set(['lo', 'eth0', 'cni0', ...node.families.map((family) => VTEP[family])]);
  const veths = links.filter(({ kind }) => kind?.type === 'veth').filter(({ name }) => name !== 'eth0');
  const strange = links.filter((link) => !known.has(link.name) && !veths.includes(link));
  const lost = veths.filter(({ master }) => master === undefined);
  return [...strange, ...lost].map(({ name }) => `link ${name}`);
}

function linkLine({ name, mac, mtu, up, kind }: Link, names: ReadonlyMap<number, string>): string {
  if (kind?.type !== 'vxlan') return `link ${name} that is no VXLAN device`;
  const learning = kind.learning ? 'learning' : 'nolearning';
  const state = up ? 'up' : 'down';
  const parent = kind.parent === undefined ? 'none' : names.get(kind.parent);
  const device = `vxlan id ${kind.vni} local ${kind.local} dev ${parent} dstport ${kind.port} ${learning}`;
  return `link ${name} ${mac} mtu ${mtu} ${state} ${device}`;
}

function addressLines(node: SoakNode, names: ReadonlyMap<number, string>): string[] {
  return node.rtnetlink
    .addresses()
    .filter(({ scope, cidr }) => scope === 0 && !cidr.ip.isLoopback() && node.families.includes(cidr.family))
    .map(({ cidr, link }) => `address ${cidr} dev ${names.get(link)}`);
}

/** All but the kernel's own. */
function routeLines(node: SoakNode, names: ReadonlyMap<number, string>): string[] {
  return node.families.flatMap((family) =>
    node.rtnetlink
      .routes({ family, table: RT_TABLE.MAIN })
      .filter(({ protocol, dst }) => protocol !== RTPROT.KERNEL && dst?.ip.isMulticast() !== true)
      .map((route) => {
        if (route.type === RTN.BLACKHOLE) return `route blackhole ${route.dst}`;
        const kind = route.type === RTN.UNICAST ? '' : `type ${route.type} `;
        const onlink = route.onlink ? ' onlink' : '';
        const link = route.link === undefined ? undefined : names.get(route.link);
        return `route ${kind}${route.dst ?? 'default'} via ${route.gateway} dev ${link}${onlink}`;
      }),
  );
}

function entryLines(node: SoakNode, { index: link, name }: Link): string[] {
  const neighbours = node.families.flatMap((family) => node.rtnetlink.neighbours({ family, link }));
  return [
    ...neighbours
      .filter(({ ip, state }) => !ip.isMulticast() && (state & NUD.PERMANENT) !== 0)
      .map(({ ip, mac }) => `neighbour ${ip} lladdr ${mac} dev ${name}`),
    ...node.rtnetlink.fdb({ link }).map(({ mac, dst }) => `fdb ${mac} dst ${dst} dev ${name}`),
  ];
}

function reservations(node: SoakNode): string[] {
  const networks = node.file('/var/lib/cni/networks');
  return folder(networks)
    .flatMap((network) => folder(`${networks}/${network}`))
    .filter((file) => /^[0-9a-f.:]+$/.test(file));
}

function conditionLines(own: KubeObject | undefined): string[] {
  const conditions = own?.status?.['conditions'];
  if (!Array.isArray(conditions)) return [];
  return conditions.flatMap((condition) => {
    const { type, status } = condition as { type?: string; status?: string };
    return type === 'NetworkUnavailable' ? [`condition ${type}=${status}`] : [];
  });
}

function folder(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function textLines(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').trimEnd().split('\n');
  } catch {
    return [];
  }
}
