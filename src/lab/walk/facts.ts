import { FAMILIES } from '#net/family.ts';
import type { Ip } from '#net/ip.ts';
import type { Mac } from '#net/mac.ts';
import type { Rtnetlink } from '#rtnetlink/client.ts';
import { RT_TABLE } from '#rtnetlink/constants.ts';
import type { Link } from '#rtnetlink/link.ts';
import type { Route } from '#rtnetlink/route.ts';

/** A network device as far as an explanation needs it. */
export interface Device {
  readonly index: number;
  readonly name: string;
  readonly kind: string;
  readonly mac: Mac | undefined;
  /** Name of its bridge. */
  readonly bridge: string | undefined;
}

/** What the kernel of one place knew when the packet went by. */
export interface Facts {
  readonly devices: readonly Device[];
  readonly routes: readonly Route[];
  readonly neighbours: readonly { readonly device: string; readonly ip: Ip; readonly mac: Mac | undefined }[];
  /** VXLAN entries: behind which address a MAC lives. */
  readonly fdb: readonly { readonly device: string; readonly mac: Mac; readonly dst: Ip | undefined }[];
  readonly addresses: readonly { readonly device: string; readonly ip: Ip }[];
}

/** Reads the facts of one namespace. */
export function readFacts(net: Rtnetlink): Facts {
  const links = net.links();
  const name = (index: number | undefined) => links.find((link) => link.index === index)?.name;
  return {
    devices: links.map((link) => ({
      index: link.index,
      name: link.name,
      kind: kindOf(link),
      mac: link.mac,
      bridge: name(link.master),
    })),
    routes: FAMILIES.flatMap((family) => net.routes({ family, table: RT_TABLE.MAIN })),
    neighbours: FAMILIES.flatMap((family) => net.neighbours({ family })).map(({ link, ip, mac }) => ({
      device: name(link) ?? '',
      ip,
      mac,
    })),
    fdb: links
      .filter((link) => link.kind?.type === 'vxlan')
      .flatMap((link) =>
        net.fdb({ link: link.index }).map(({ mac, dst }) => ({ device: link.name, mac, dst })),
      ),
    addresses: net.addresses().map(({ link, cidr }) => ({ device: name(link) ?? '', ip: cidr.ip })),
  };
}

function kindOf(link: Link): string {
  if (link.kind === undefined) return link.name === 'lo' ? 'loopback' : '';
  return link.kind.type === 'other' ? link.kind.name : link.kind.type;
}

/** The route with the longest prefix, as the kernel chooses among those of one table. */
export function routeFor(facts: Facts, ip: Ip): Route | undefined {
  const length = (route: Route) => route.dst?.length ?? 0;
  return facts.routes
    .filter((route) => route.family === ip.family && (route.dst === undefined || route.dst.contains(ip)))
    .toSorted((a, b) => length(b) - length(a) || (a.priority ?? 0) - (b.priority ?? 0))[0];
}

/** A route in the words of `ip route`. */
export function routeText(facts: Facts, route: Route): string {
  const device = facts.devices.find(({ index }) => index === route.link)?.name;
  const parts = [
    route.dst === undefined ? 'default' : `${route.dst}`,
    route.gateway === undefined ? '' : `via ${route.gateway}`,
    device === undefined ? '' : `dev ${device}`,
    route.onlink ? 'onlink' : '',
  ];
  return parts.filter((part) => part !== '').join(' ');
}
