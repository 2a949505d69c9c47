import { Netns } from '#ffi/netns.ts';
import { setSysctl } from '#host/sysctl.ts';
import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import {
  GATEWAY,
  UNDERLAY,
  WORLD_GATEWAY,
  WORLD_IP,
  WORLD_NETWORK,
  type NodePlan,
} from '../state/address-plan.ts';

/** The bridge that joins the nodes. */
export const UNDERLAY_BRIDGE = 'switch';

function withLength(address: string, network: string): Cidr {
  return new Cidr(Ip.parse(address), Cidr.parse(network).length);
}

/** Builds in the namespace of this process: the switch that all nodes hang on, and their router, in one. */
export function buildUnderlay(net: Rtnetlink): void {
  loopbackUp(net);
  net.createLink({ name: UNDERLAY_BRIDGE, kind: { type: 'bridge' }, up: true });
  address(net, UNDERLAY_BRIDGE, withLength(GATEWAY, UNDERLAY));
  setSysctl('net/ipv4/ip_forward', '1');
}

/** The outside world: behind the router, with no idea of pod addresses. */
export function connectWorld(net: Rtnetlink, pid: number): void {
  using netns = Netns.open(`/proc/${pid}/ns/net`);
  net.createLink({
    name: 'to-world',
    kind: { type: 'veth', peer: { name: 'eth0', netns, up: true } },
    up: true,
  });
  address(net, 'to-world', withLength(WORLD_GATEWAY, WORLD_NETWORK));
  using world = Rtnetlink.openIn(netns);
  loopbackUp(world);
  address(world, 'eth0', withLength(WORLD_IP, WORLD_NETWORK));
  world.addRoute({ dst: Cidr.parse(UNDERLAY), gateway: Ip.parse(WORLD_GATEWAY) });
}

/** A node's eth0 and default route; the other end is a port of the underlay, named like the node. */
export function connectNode(net: Rtnetlink, plan: NodePlan, pid: number): void {
  using netns = Netns.open(`/proc/${pid}/ns/net`);
  net.createLink({
    name: plan.name,
    kind: { type: 'veth', peer: { name: 'eth0', mac: plan.mac, netns, up: true } },
    master: linkIndex(net, UNDERLAY_BRIDGE),
    up: true,
  });
  using node = Rtnetlink.openIn(netns);
  loopbackUp(node);
  address(node, 'eth0', withLength(plan.ip, UNDERLAY));
  node.addRoute({ dst: { default: 'ipv4' }, gateway: Ip.parse(GATEWAY) });
}

function loopbackUp(net: Rtnetlink): void {
  net.setLink(linkIndex(net, 'lo'), { up: true });
}

function address(net: Rtnetlink, link: string, cidr: Cidr): void {
  net.addAddress({ link: linkIndex(net, link), cidr, broadcast: 'auto' });
}

function linkIndex(net: Rtnetlink, name: string): number {
  const link = net.link(name);
  if (link === undefined) throw new Error(`link ${name} is missing`);
  return link.index;
}
