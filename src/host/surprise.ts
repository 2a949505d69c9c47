import type { Family } from '#net/family.ts';
import { IFA_F, IFLA_EVENT, NTF, NUD, RT_TABLE, RTN, RTPROT } from '#rtnetlink/constants.ts';
import type { Link } from '#rtnetlink/link.ts';
import type { RtNotification } from '#rtnetlink/notification.ts';
import type { Route } from '#rtnetlink/route.ts';
import { DEFAULT_PRIORITY, hasDefaultPriority } from './entries.ts';
import { hostLink } from './host-link.ts';
import { linkDifference } from './links.ts';
import { BLACKHOLE_PRIORITY, entryKey, sameEntry, type Entry, type HostPlan } from './plan.ts';

export interface SurpriseContext {
  readonly plan: HostPlan;
  /** Name of a link by index, for our links and their parents. */
  readonly nameOf: (index: number) => string | undefined;
}

/**
 * What a notification says against the plan, in words; undefined for what is as planned (our own writes come back as
 * notifications too) or not ours. The answer to a surprise is a full pass, which looks for itself.
 */
export function surprise(notification: RtNotification, context: SurpriseContext): string | undefined {
  switch (notification.type) {
    case 'link': {
      const { link } = notification;
      const before = context.nameOf(link.index);
      if (
        before !== undefined &&
        before !== link.name &&
        context.plan.links.some(({ name }) => name === before)
      )
        return `link ${before} is now called ${link.name}`;
      return linkSurprise(link, notification.action === 'delete', context);
    }
    case 'address': {
      const { address } = notification;
      const name = context.nameOf(address.link);
      const planned = context.plan.links.find((link) => link.name === name);
      if (planned === undefined)
        return parentSurprise(name, address.cidr.family, notification.action, context);
      const wanted = planned.addresses.some((cidr) => cidr.equals(address.cidr));
      if (notification.action === 'delete')
        return wanted ? `address ${address.cidr} removed from ${name}` : undefined;
      const foreign = !wanted && address.scope === 0 && (address.flags & IFA_F.TENTATIVE) === 0;
      return foreign ? `address ${address.cidr} added to ${name}` : undefined;
    }
    case 'route':
      return routeSurprise(notification.route, notification.action, context);
    case 'neighbour': {
      const { ip, mac, state } = notification.neighbour;
      const link = context.nameOf(notification.neighbour.link);
      if (link === undefined) return undefined;
      const planned = context.plan.entries.get(`n ${link} ${ip}`);
      if (mac === undefined || (state & NUD.PERMANENT) === 0) {
        return planned === undefined ? undefined : `neighbour ${ip} on ${link} lost or no longer permanent`;
      }
      return entrySurprise({ type: 'neighbour', link, ip, mac }, notification.action, context.plan);
    }
    case 'fdb': {
      const { mac, dst, state, flags } = notification.entry;
      const link = context.nameOf(notification.entry.link);
      if (link === undefined || dst === undefined || (flags & NTF.SELF) === 0) return undefined;
      if ((state & NUD.PERMANENT) === 0 && notification.action === 'new') return undefined;
      return entrySurprise({ type: 'fdb', link, mac, dst }, notification.action, context.plan);
    }
  }
}

function routeSurprise(
  route: Route,
  action: 'new' | 'delete',
  { plan, nameOf }: SurpriseContext,
): string | undefined {
  const { dst, gateway, onlink, family, priority } = route;
  if (route.table !== RT_TABLE.MAIN || route.protocol === RTPROT.KERNEL) return undefined;
  if (route.type === RTN.BLACKHOLE && priority === BLACKHOLE_PRIORITY && action === 'delete') {
    const planned = plan.blackholes.some((cidr) => dst?.equals(cidr));
    return planned ? `blackhole route ${dst} removed` : undefined;
  }
  if (dst === undefined) return undefined;
  if (!hasDefaultPriority(family, priority)) {
    const before = priority !== undefined && priority < DEFAULT_PRIORITY[family];
    return before && plan.entries.has(`r ${dst}`) ? `r ${dst} with metric ${priority} ${action}` : undefined;
  }
  const link = route.link === undefined ? undefined : nameOf(route.link);
  if (route.type === RTN.UNICAST && link !== undefined && gateway !== undefined)
    return entrySurprise({ type: 'route', link, dst, gateway, onlink }, action, plan);
  // None that we make (a blackhole, one without a gateway): it may have been put in the place of ours.
  return action === 'new' && plan.entries.has(`r ${dst}`) ? `r ${dst} changed` : undefined;
}

function linkSurprise(link: Link, deleted: boolean, { plan, nameOf }: SurpriseContext): string | undefined {
  const wanted = plan.links.find(({ name }) => name === link.name);
  if (wanted === undefined) {
    // A parent that comes, goes or changes its state may have taken our devices along.
    const parent = plan.external === link.name || plan.links.some((planned) => planned.parent === link.name);
    return parent ? `external interface ${link.name} ${deleted ? 'removed' : 'changed'}` : undefined;
  }
  if (deleted) return `link ${link.name} removed`;
  // It does not say which; our own change comes back as one, too.
  if (link.event === IFLA_EVENT.FEATURES && wanted.txChecksum !== undefined)
    return `features of ${link.name} changed`;
  const live = hostLink(link);
  const parent = live.vxlan?.parent === undefined ? undefined : nameOf(live.vxlan.parent);
  if (parent !== undefined && parent !== wanted.parent) return `link ${link.name} has parent ${parent}`;
  return linkDifference(wanted, live, undefined).found[0];
}

function parentSurprise(
  name: string | undefined,
  family: Family,
  action: 'new' | 'delete',
  context: SurpriseContext,
): string | undefined {
  const { links, external } = context.plan;
  const uses = links.some((link) => link.parent === name && link.local.family === family);
  if (uses && action === 'delete') return `an address of ${name ?? 'the external interface'} removed`;
  // Routes through the interface go with its last address, and can be made again when it has one.
  return name !== undefined && name === external ? `addresses of ${name} changed` : undefined;
}

function entrySurprise(entry: Entry, action: 'new' | 'delete', plan: HostPlan): string | undefined {
  const wanted = plan.entries.get(entryKey(entry));
  if (action === 'delete') {
    return wanted !== undefined && sameEntry(wanted, entry) ? `${entryKey(entry)} removed` : undefined;
  }
  if (wanted === undefined) {
    const ours = plan.links.some((link) => link.name === entry.link);
    return ours ? `${entryKey(entry)} added` : undefined;
  }
  return sameEntry(wanted, entry) ? undefined : `${entryKey(entry)} changed`;
}
