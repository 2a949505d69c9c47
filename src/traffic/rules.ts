import { FlannelError } from '#base/errors.ts';
import { Cidr } from '#net/cidr.ts';
import type { Family } from '#net/family.ts';
import type { Ip } from '#net/ip.ts';

/** Which of the kernel's two rule tools is written to. */
export type TrafficMode = 'nftables' | 'iptables';

/** An address condition: inside `cidr`, or outside with `not`. */
export interface AddressMatch {
  readonly cidr: Cidr;
  readonly not: boolean;
}

/** All conditions that are set must hold. */
export interface RuleMatch {
  /** The packet mark: equal to `value`, under `mask` when there is one. */
  readonly mark?: { readonly value: number; readonly mask?: number };
  readonly source?: AddressMatch;
  readonly destination?: AddressMatch;
  /** Destination port of UDP. */
  readonly udpPort?: number;
}

export type RuleAction = 'accept' | 'return' | 'masquerade' | 'masquerade fully-random';

export interface TrafficRule {
  readonly match: RuleMatch;
  readonly action: RuleAction;
  /** Set where the original's two modes differ and nodes of both kinds must behave as its nodes do. */
  readonly only?: TrafficMode;
}

/** The rules of one address family; a chain that is undefined must not be there. */
export interface FamilyRules {
  readonly family: Family;
  /** Source NAT of what leaves the node, first match wins. */
  readonly postrouting?: readonly TrafficRule[];
  /** Packets the node forwards. */
  readonly forward?: readonly TrafficRule[];
}

/** All rules of a node. A family that is off is not in the list. */
export interface RuleSet {
  readonly families: readonly FamilyRules[];
}

export interface TrafficOptions {
  readonly families: readonly FamilyNetwork[];
  /** `--ip-masq` */
  readonly ipMasq: boolean;
  /** `--iptables-forward-rules` */
  readonly forward: boolean;
  /** False with `--ip-masq-fully-random-disable`. */
  readonly randomFully: boolean;
  /** `--ip-masq-exclude`: networks of either family that see the pods' own addresses. */
  readonly exclude?: readonly Cidr[];
}

export interface FamilyNetwork {
  /** The pod network, usually one CIDR. */
  readonly network: readonly Cidr[];
  /** This node's part of it; host bits are ignored. */
  readonly subnet: Cidr;
  /** Where this node's own outer packets come from and the UDP port that they go to. */
  readonly overlay?: { readonly source: Ip; readonly port: number };
}

/** kube-proxy marks what it will masquerade by itself; doing it twice breaks checksums on some kernels. */
const KUBE_PROXY_MARK = 0x4000;
const MULTICAST: Readonly<Record<Family, string>> = { ipv4: '224.0.0.0/4', ipv6: 'ff00::/8' };

/** The rules for a node, in the order of evaluation (wire contract, section 6). Pure. */
export function trafficRules(options: TrafficOptions): RuleSet {
  return {
    families: options.families.map(({ network, subnet, overlay }) => {
      const family = subnet.family;
      const networks = network.map((cidr) => cidr.network());
      if (networks.some((cidr) => cidr.family !== family)) {
        throw new FlannelError('bug', `network ${networks.join(',')} and subnet ${subnet} differ in family`);
      }
      return {
        family,
        ...(options.ipMasq
          ? { postrouting: masqueradeRules({ ...options, networks, subnet: subnet.network(), overlay }) }
          : {}),
        ...(options.forward ? { forward: forwardRules(networks) } : {}),
      };
    }),
  };
}

interface MasqueradeParts {
  readonly networks: readonly Cidr[];
  readonly subnet: Cidr;
  readonly randomFully: boolean;
  readonly exclude?: readonly Cidr[];
  readonly overlay: FamilyNetwork['overlay'];
}

function masqueradeRules(parts: MasqueradeParts): TrafficRule[] {
  const { networks, subnet } = parts;
  const masquerade: RuleAction = parts.randomFully ? 'masquerade fully-random' : 'masquerade';
  const multicast = Cidr.parse(MULTICAST[subnet.family]);
  const rule = (source: AddressMatch, destination: AddressMatch, action: RuleAction): TrafficRule => ({
    match: { source, destination },
    action,
  });
  return [
    // The nftables mode of the original compares the whole mark, its iptables mode the one bit.
    { match: { mark: { value: KUBE_PROXY_MARK } }, action: 'return', only: 'nftables' },
    {
      match: { mark: { value: KUBE_PROXY_MARK, mask: KUBE_PROXY_MARK } },
      action: 'return',
      only: 'iptables',
    },
    ...overlayRules(parts),
    // Inside the pod network addresses are kept.
    ...networks.flatMap((network) => [
      rule(inside(subnet), inside(network), 'return'),
      rule(inside(network), inside(subnet), 'return'),
    ]),
    // From outside to a pod of this node: the pod sees the sender. In nftables mode the original leaves everything
    // alone that goes to the pod network.
    ...networks.flatMap((network): TrafficRule[] => [
      { ...rule(outside(subnet), inside(network), 'return'), only: 'nftables' },
      { ...rule(outside(network), inside(subnet), 'return'), only: 'iptables' },
    ]),
    ...excludeRules(parts),
    // From a pod to the outside world.
    ...networks.map((network) => rule(inside(network), outside(multicast), masquerade)),
    // From the node itself to a pod elsewhere, when the chosen source is no pod address.
    ...networks.map((network) => rule(outside(network), inside(network), masquerade)),
  ];
}

/**
 * The overlay's own packets: a node whose address lies in the pod network would take them for a pod's. Translated outer packets
 * get wrong checksums on some kernels, and a source that is not ours. Elsewhere no rule can meet them, and none is made.
 */
function overlayRules({ networks, overlay }: MasqueradeParts): TrafficRule[] {
  if (overlay === undefined || !networks.some((network) => network.contains(overlay.source))) return [];
  const { source, port } = overlay;
  const match = { source: inside(new Cidr(source, source.bits)), udpPort: port };
  return [{ match, action: 'return' }];
}

/** From a pod to where its own address is to be seen. */
function excludeRules({ networks, subnet, exclude = [] }: MasqueradeParts): TrafficRule[] {
  const destinations = exclude.filter(({ family }) => family === subnet.family);
  return networks.flatMap((network) =>
    destinations.map((cidr): TrafficRule => {
      const source = inside(network);
      // iptables does not show a match of everything.
      const match = cidr.length === 0 ? { source } : { source, destination: inside(cidr.network()) };
      return { match, action: 'return' };
    }),
  );
}

function forwardRules(networks: readonly Cidr[]): TrafficRule[] {
  return networks.flatMap((network): TrafficRule[] => [
    { match: { source: inside(network) }, action: 'accept' },
    { match: { destination: inside(network) }, action: 'accept' },
  ]);
}

function inside(cidr: Cidr): AddressMatch {
  return { cidr, not: false };
}

function outside(cidr: Cidr): AddressMatch {
  return { cidr, not: true };
}

/** The rules of a chain that `mode` writes. */
export function rulesFor(mode: TrafficMode, rules: readonly TrafficRule[]): TrafficRule[] {
  return rules.filter(({ only }) => only === undefined || only === mode);
}
