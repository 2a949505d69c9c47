import { FlannelError } from '#base/errors.ts';
import { withNetns } from '#ffi/netns.ts';
import { Mac } from '#net/mac.ts';
import { Nftables } from '#nftables/connection.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import type { Link } from '#rtnetlink/link.ts';
import type { FaultName } from '../command/options.ts';
import { enterArgv, openNetns } from '../process/places.ts';
import { peerRoutes } from '../process/peer-routes.ts';
import { runOrThrow } from '../process/run.ts';
import { vtepAddress } from '../state/address-plan.ts';
import type { NodeState } from '../state/state.ts';

export interface FaultTarget {
  readonly node: NodeState;
  /** The other node, whose entries are broken where there is one for each. */
  readonly peer: NodeState;
  readonly traffic: 'iptables' | 'nftables';
  readonly env: Readonly<Record<string, string>>;
}

/** The faults of one node's kernel. */
export type KernelFault = Exclude<FaultName, 'agent' | 'api'>;

/** Breaks one thing, as an operator or another program would; says what it did. */
export async function breakKernel(fault: KernelFault, target: FaultTarget): Promise<string> {
  if (fault === 'rules') return breakRules(target);
  using netns = openNetns(placeOf(target.node));
  using net = Rtnetlink.openIn(netns);
  if (fault === 'route') return breakRoute(net, target.peer);
  const vtep = net.links().find((link) => link.kind?.type === 'vxlan');
  if (vtep === undefined)
    throw new FlannelError('operator', `${target.node.name} has no VXLAN device to break`, {
      cure: 'With host-gw break one of: route, rules, agent, api',
    });
  return breakDevice(fault, { net, vtep, peer: target.peer });
}

function placeOf(node: NodeState) {
  return { kind: 'node', name: node.name, node } as const;
}

interface Device {
  readonly net: Rtnetlink;
  readonly vtep: Link;
  readonly peer: NodeState;
}

function breakDevice(fault: Exclude<KernelFault, 'rules' | 'route'>, { net, vtep, peer }: Device): string {
  const { index: link, name } = vtep;
  const remote = vtepAddress(peer.podCidr);
  switch (fault) {
    case 'link':
      net.deleteLink(link);
      return `ip link delete ${name}`;
    case 'neighbour': {
      const { ip } = found(
        net.neighbours({ family: 'ipv4', link }).find((neighbour) => neighbour.ip.toString() === remote),
        'neighbour',
      );
      net.deleteNeighbour({ link, ip });
      return `ip neighbour delete ${ip} dev ${name}`;
    }
    case 'fdb': {
      const { mac, dst } = found(
        net.fdb({ link }).find((entry) => entry.dst?.toString() === peer.ip),
        'FDB entry',
      );
      net.deleteFdb({ link, mac, dst });
      return `bridge fdb delete ${mac} dev ${name} dst ${dst}`;
    }
    case 'address': {
      const { cidr } = found(net.addresses({ link, family: 'ipv4' })[0], 'address');
      net.deleteAddress({ link, cidr });
      return `ip address delete ${cidr} dev ${name}`;
    }
    case 'mac': {
      const mac = Mac.local(crypto.getRandomValues(new Uint8Array(6)));
      net.setLink(link, { mac });
      return `ip link set ${name} address ${mac}`;
    }
  }
}

function breakRoute(net: Rtnetlink, peer: NodeState): string {
  const { dst, gateway, link, onlink } = found(
    peerRoutes(net).find((route) => route.dst?.toString() === peer.podCidr),
    'route',
  );
  if (dst === undefined || link === undefined) throw new FlannelError('bug', 'a route without an end');
  net.deleteRoute({ dst, gateway, link, onlink });
  return `ip route delete ${dst} dev ${net.link(link)?.name}`;
}

function found<T>(item: T | undefined, what: string): T {
  if (item !== undefined) return item;
  throw new FlannelError('operator', `there is no ${what} to break`, {
    cure: 'Run `flannelctl lab verify`',
  });
}

async function breakRules({ node, traffic, env }: FaultTarget): Promise<string> {
  if (traffic === 'iptables') {
    await runOrThrow(enterArgv(placeOf(node), ['iptables', '-w', '-t', 'nat', '-F']), { env });
    return 'iptables -t nat -F';
  }
  using netns = openNetns(placeOf(node));
  using nftables = withNetns(netns, () => Nftables.open());
  nftables.delete({ family: 'ip', name: 'flannel-ipv4' });
  return 'nft delete table ip flannel-ipv4';
}
