import type { HostPlan } from '#host/plan.ts';
import type { Ip } from '#net/ip.ts';
import type { Counters, DeviceView, PodView } from '#page/model.ts';
import type { Rtnetlink } from '#rtnetlink/client.ts';
import type { LinkStats } from '#rtnetlink/link.ts';
import { podsOf } from '../inspect/pods.ts';

/** Bridge of the CNI configuration as it mostly is. */
const BRIDGE = 'cni0';

/** Overlay devices as the kernel has them. */
export function deviceViews(net: Rtnetlink, links: HostPlan['links']): DeviceView[] {
  return links.map(({ name }) => {
    const link = net.link(name);
    if (link === undefined) return { name, addresses: [] };
    const { index, up, mac, kind, stats } = link;
    return {
      name,
      up,
      ...(mac === undefined ? {} : { mac: `${mac}` }),
      ...(kind?.type === 'vxlan' ? { vni: kind.vni, port: kind.port } : {}),
      addresses: net.addresses({ link: index }).map(({ cidr }) => `${cidr}`),
      ...(stats === undefined ? {} : { counters: countersOf(stats) }),
    };
  });
}

/** Beyond 2^53 bytes a number is not exact any more, and still good for a picture. */
export function countersOf({ rxBytes, txBytes, rxPackets, txPackets, dropped = 0n }: LinkStats): Counters {
  return {
    rxBytes: Number(rxBytes),
    txBytes: Number(txBytes),
    rxPackets: Number(rxPackets),
    txPackets: Number(txPackets),
    dropped: Number(dropped),
  };
}

/** From the other end of the cable: what the node sends there is what the pod receives. */
function turned({ rxBytes, txBytes, rxPackets, txPackets, dropped }: Counters): Counters {
  return { rxBytes: txBytes, txBytes: rxBytes, rxPackets: txPackets, txPackets: rxPackets, dropped };
}

export interface PodOptions {
  /** Undefined: the one with a gateway of this node, else `cni0`. */
  readonly bridge?: string;
  readonly gateways: readonly Ip[];
  readonly ipamDir: string;
  /** See `podsOf`. */
  readonly enter: boolean;
}

/** The pods of this node with what has gone through their cables. */
export function podViews(net: Rtnetlink, { bridge, gateways, ipamDir, enter }: PodOptions): PodView[] {
  const name = bridge ?? bridgeOf(net, gateways);
  const counters = new Map(net.links().map((link) => [link.name, link.stats]));
  return podsOf(net, { bridge: name, ipamDir, enter }).map((pod) => {
    const { addresses, container, interface: ifName, network, veth, up, mac, namespace } = pod;
    const stats = veth === undefined ? undefined : counters.get(veth);
    return {
      addresses: addresses.map(String),
      ...(container === undefined ? {} : { container }),
      ...(ifName === undefined ? {} : { interface: ifName }),
      ...(network === undefined ? {} : { network }),
      ...(veth === undefined ? {} : { veth }),
      ...(up === undefined ? {} : { up }),
      ...(mac === undefined ? {} : { mac: `${mac}` }),
      namespace,
      ...(stats === undefined ? {} : { counters: turned(countersOf(stats)) }),
    };
  });
}

function bridgeOf(net: Rtnetlink, gateways: readonly Ip[]): string {
  const holder = net.addresses().find(({ cidr }) => gateways.some((gateway) => gateway.equals(cidr.ip)));
  const link = holder === undefined ? undefined : net.link(holder.link);
  return link?.kind?.type === 'bridge' ? link.name : BRIDGE;
}
