import { mkdirSync, writeFileSync } from 'node:fs';
import { FlannelError } from '#base/errors.ts';
import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import { Mac } from '#net/mac.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import {
  originalAnnotations,
  originalIptables,
  originalNftables,
  originalSubnetEnv,
  VTEP,
  type OriginalNode,
} from '../migrate/original.ts';
import { enterArgv, openNetns } from '../process/places.ts';
import { runOrThrow } from '../process/run.ts';
import { VXLAN_PORT, vtepAddress } from '../state/address-plan.ts';
import type { LabState, NodeState } from '../state/state.ts';

/** What the original knew of each node of this lab: its device's MAC is made up here. */
export function originalNodes(state: LabState): Map<string, OriginalNode> {
  const tunnel = state.options.backend !== 'host-gw';
  return new Map(
    state.nodes.map(({ name, podCidr, ip }) => {
      const random = Mac.local(crypto.getRandomValues(new Uint8Array(6)));
      return [name, { podCidr, ip, mac: tunnel ? random.toString() : undefined }];
    }),
  );
}

export interface OriginalParts {
  readonly state: LabState;
  /** All of them, by name. */
  readonly nodes: ReadonlyMap<string, OriginalNode>;
  readonly env: Readonly<Record<string, string>>;
}

/** Makes a node what the original's agent has left of it: device, entries and routes, rules, `subnet.env`. */
export async function layOriginal(node: NodeState, parts: OriginalParts): Promise<void> {
  const own = parts.nodes.get(node.name);
  if (own === undefined) throw new FlannelError('bug', `node ${node.name} is not there`);
  const peers = [...parts.nodes].filter(([name]) => name !== node.name).map(([, peer]) => peer);
  const place = { kind: 'node', name: node.name, node } as const;
  {
    using netns = openNetns(place);
    using net = Rtnetlink.openIn(netns);
    if (own.mac !== undefined) makeDevice(net, own);
    const direct = parts.state.options.backend !== 'vxlan';
    for (const peer of peers) {
      if (direct) directRoute(net, peer);
      else overlayEntries(net, peer);
    }
  }
  const [argv, input] =
    parts.state.traffic === 'nftables'
      ? [['nft', '-f', '-'], originalNftables(own)]
      : [['iptables-restore'], originalIptables(own)];
  await runOrThrow(enterArgv(place, argv), { env: parts.env, input });
  const folder = `/proc/${node.pid}/root/run/flannel`;
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}/subnet.env`, originalSubnetEnv(own));
}

/** The Node's annotations, by its name. */
export function annotationsOf(
  name: string,
  nodes: ReadonlyMap<string, OriginalNode>,
): Record<string, string> {
  const node = nodes.get(name);
  return node === undefined ? {} : originalAnnotations(node);
}

function makeDevice(net: Rtnetlink, { podCidr, ip, mac = '' }: OriginalNode): void {
  net.createLink({
    name: VTEP.name,
    mac: Mac.parse(mac),
    mtu: VTEP.mtu,
    kind: {
      type: 'vxlan',
      vni: VTEP.vni,
      local: Ip.parse(ip),
      parent: linkIndex(net, 'eth0'),
      port: VXLAN_PORT,
      learning: false,
    },
    up: true,
  });
  net.addAddress({ link: linkIndex(net, VTEP.name), cidr: Cidr.parse(`${vtepAddress(podCidr)}/32`) });
}

function overlayEntries(net: Rtnetlink, { podCidr, ip, mac = '' }: OriginalNode): void {
  const link = linkIndex(net, VTEP.name);
  const gateway = Ip.parse(vtepAddress(podCidr));
  net.addNeighbour({ link, ip: gateway, mac: Mac.parse(mac) });
  net.addFdb({ link, mac: Mac.parse(mac), dst: Ip.parse(ip) });
  net.addRoute({ dst: Cidr.parse(podCidr), gateway, link, onlink: true });
}

function directRoute(net: Rtnetlink, { podCidr, ip }: OriginalNode): void {
  net.addRoute({ dst: Cidr.parse(podCidr), gateway: Ip.parse(ip), link: linkIndex(net, 'eth0') });
}

function linkIndex(net: Rtnetlink, name: string): number {
  const link = net.link(name);
  if (link === undefined) throw new FlannelError('bug', `link ${name} is missing`);
  return link.index;
}
