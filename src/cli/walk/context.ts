import type { Entry, RouteEntry } from '#host/plan.ts';
import type { Ip } from '#net/ip.ts';
import type { Table } from '#nftables/objects.ts';
import type { Link } from '#rtnetlink/link.ts';
import type { Route } from '#rtnetlink/route.ts';
import type { RouteQuestion } from '#rtnetlink/route/request.ts';
import type { LiveChain } from '#traffic/live-chains.ts';
import type { Pod } from '#daemon/inspect/pods.ts';
import { isBlocking, type NoRoute, type WalkKernel } from './kernel.ts';
import { dies, type End, type Trail } from './trail.ts';

/** What a dry walk goes by. */
export interface WalkContext {
  readonly trail: Trail;
  readonly node: WalkKernel;
  readonly pods: readonly Pod[];
  /** Looks into a pod's namespace; undefined when nobody can. */
  readonly inside: (pod: Pod) => WalkKernel | undefined;
  readonly bridge: string;
  readonly source: Ip;
  readonly destination: Ip;
  /** Of the IP packet, bytes. */
  readonly size: number;
  /** The agent's chains of the family, in both modes. */
  readonly chains: readonly LiveChain[];
  /** Everything that packets of the family meet in nf_tables. */
  readonly tables: readonly Table[];
  /** Name of the peer that a pod or node address belongs to. */
  readonly peerOf: (ip: Ip) => string | undefined;
  /** The planned route to the pods of a peer that an address belongs to. */
  readonly plannedRoute: (ip: Ip) => RouteEntry | undefined;
  /** What is planned for a peer, all families. */
  readonly plannedFor: (peer: string) => readonly Entry[];
  /** True for an address of the pod network of which the plan knows no node. */
  readonly isNobodys: (ip: Ip) => boolean;
}

/** The pod of this node with the address. */
export function podWith({ pods }: Pick<WalkContext, 'pods'>, ip: Ip): Pod | undefined {
  return pods.find(({ addresses }) => addresses.some((address) => address.equals(ip)));
}

export interface Asked {
  readonly to: Ip;
  readonly question: RouteQuestion;
}

/** What was found, in the words of `ip route`. */
export function routeText(kernel: WalkKernel, { gateway, link }: Route, { to, question }: Asked): string {
  const entry = kernel.entry(to, question);
  const name = kernel.link(link)?.name;
  const parts = [
    entry === undefined ? `to ${to}` : `${entry.dst ?? 'default'}`,
    gateway === undefined ? '' : `via ${gateway}`,
    name === undefined ? '' : `dev ${name}`,
  ];
  return parts.filter((part) => part !== '').join(' ');
}

/** Why there is no way to `to`; `who` has asked. */
export function noWay(
  kernel: WalkKernel,
  answer: NoRoute | Route,
  asked: { readonly to: Ip; readonly who: string },
): End {
  const { to, who } = asked;
  const { refused } = 'refused' in answer ? answer : { refused: '' };
  const block = 'refused' in answer ? kernel.blocking(to) : answer;
  if (refused === 'EXDEV')
    return dies(
      `${who} drops it: its source would be answered through another device (rp_filter)`,
      'See "ip route get" for the source, and set net.ipv4.conf.*.rp_filter to 2 or 0 where two ways are wanted',
    );
  if (block !== undefined && refused !== 'ENETUNREACH')
    return dies(
      `a blocking route of ${who} takes it: ${BLOCK_NAMES[block.type] ?? 'blocking'} ${block.dst ?? 'default'}`,
    );
  if (refused === 'EINVAL' || refused === 'EACCES')
    return dies(
      `${who} refuses this source and destination (${refused}): a policy rule forbids them, or they are none that are forwarded`,
      'ip rule; ip route get shows the same',
    );
  return dies(`${who} has no route to ${to}`, MEND);
}

/** What puts right what the agent has planned. */
export const MEND =
  'flannelctl diff says what is not as planned; a running agent puts it right within a second';

/** RTN_* (`linux/rtnetlink.h`) in the words of `ip route`. */
const BLOCK_NAMES: Readonly<Record<number, string>> = {
  6: 'blackhole',
  7: 'unreachable',
  8: 'prohibit',
  9: 'throw',
};

/** As much of a container's id as people use. */
export function shortId(container: string | undefined): string {
  return (container ?? '').slice(0, 12);
}

/** Says whether a lookup found a way on. */
export function isWay(answer: Route | NoRoute): answer is Route {
  return !('refused' in answer) && !isBlocking(answer);
}

/** A device that nothing goes through: what it lacks. */
export function dead(link: Link): End | undefined {
  if (!link.up) return dies(`${link.name} is down`, `ip link set ${link.name} up`);
  return link.running ? undefined : dies(`${link.name} has no carrier`, 'See what is at the other end of it');
}

export function tooLarge({ size }: Pick<WalkContext, 'size'>, { name, mtu }: Link): End | undefined {
  if (size <= mtu) return undefined;
  return dies(
    `${size} bytes do not fit MTU ${mtu} of ${name}: only a packet that may be fragmented comes on`,
    `ip link show ${name}; flannelctl doctor --only mtu says which of the MTUs is wrong`,
  );
}
