import type { Ip } from '#net/ip.ts';
import { RTN } from '#rtnetlink/constants.ts';
import type { Link } from '#rtnetlink/link.ts';
import type { Route } from '#rtnetlink/route.ts';
import type { RouteQuestion } from '#rtnetlink/route/request.ts';
import type { Pod } from '#daemon/inspect/pods.ts';
import {
  dead,
  isWay,
  MEND,
  noWay,
  podWith,
  routeText,
  shortId,
  tooLarge,
  type WalkContext,
} from './context.ts';
import { bridged, toPod } from './deliver.ts';
import { firewall, forwardNotes, postroutingNotes } from './rules.ts';
import { dies, type End } from './trail.ts';
import { onTheWire, tunnelled } from './leave.ts';

/** From where on this node sees the packet. */
export type Start = 'pod' | 'node' | 'elsewhere';

/**
 * Walks as the kernel would: routes by its own lookup, neighbours, forwarding entries, rules in order. No packet is sent, and
 * nothing is written; the steps go into the trail. What other programs translate (services) is not followed.
 */
export function dryWalk(context: WalkContext, start: Start): End {
  switch (start) {
    case 'pod':
      return fromPod(context);
    case 'node':
      return routed(context, undefined);
    case 'elsewhere':
      return fromElsewhere(context);
  }
}

function fromPod(context: WalkContext): End {
  const { source, node, trail } = context;
  const pod = podWith(context, source);
  const missing = podProblem(pod, source);
  if (pod === undefined || missing !== undefined) return missing ?? dies(`${source} is no pod's`);
  const onBridge = withinPod(context, pod);
  if (typeof onBridge === 'object') return onBridge;
  const bridge = node.named(context.bridge);
  if (bridge === undefined) return dies(`this node has no bridge ${context.bridge}`, 'flannelctl pods');
  const port = pod.veth === undefined ? undefined : node.named(pod.veth);
  if (port === undefined)
    return dies(
      `no port of ${bridge.name} leads to container ${shortId(pod.container)}`,
      'Delete the pod: its cable cannot be put back',
    );
  const broken = dead(port) ?? dead(bridge);
  if (broken !== undefined) return broken;
  // The bridge has addresses of its own: those are the node's.
  const between = onBridge && !isLocal(context);
  const next = between
    ? 'which looks for the port of the destination'
    : "for the bridge's own MAC: up to the node";
  trail.step(`node ${port.name}`, `the node's end of the pod's cable, a port of ${bridge.name}, ${next}`);
  return between ? bridged(context, bridge) : routed(context, bridge);
}

/** What keeps a packet from ever being sent; undefined when nothing is known to. */
function podProblem(pod: Pod | undefined, source: Ip): End | undefined {
  if (pod === undefined)
    return dies(
      `nobody has reserved ${source}: no pod sends from it`,
      'flannelctl pods lists the pods of this node',
    );
  if (pod.namespace === 'gone')
    return dies(
      `the namespace of container ${shortId(pod.container)} is gone`,
      'The agent frees its address within minutes',
    );
  return undefined;
}

/** True when the pod takes the destination for a neighbour on its bridge. */
function withinPod(context: WalkContext, pod: Pod): boolean | End {
  const { source, destination, trail, size } = context;
  const inside = context.inside(pod);
  const where = `pod ${source} ${pod.interface ?? ''}`.trimEnd();
  if (inside === undefined) {
    trail.step(where, 'its namespace cannot be looked into: that it has a route is taken for granted');
    return podWith(context, destination) !== undefined;
  }
  const question = { from: source };
  const route = inside.lookUp(destination, question);
  if (!isWay(route)) return noWay(inside, route, { to: destination, who: `the pod ${source}` });
  if (route.type === RTN.BROADCAST) return everybody(destination);
  if (route.type === RTN.LOCAL) {
    trail.step(where, `${destination} is the pod's own address`);
    return { outcome: 'arrives', why: 'it never leaves the pod' };
  }
  const link = inside.link(route.link);
  const broken = link === undefined ? undefined : (dead(link) ?? tooLarge({ size }, link));
  if (broken !== undefined) return broken;
  const to = route.gateway ?? destination;
  trail.step(
    where,
    `route ${routeText(inside, route, { to: destination, question })}: the frame goes to the MAC of ${to}`,
  );
  return route.gateway === undefined;
}

function everybody(ip: Ip): End {
  return dies(
    `${ip} is a broadcast address: it is for everybody on the link and nobody beyond, and no one receiver can be followed`,
  );
}

/** A peer's packet: it comes in where an answer would go out. */
function fromElsewhere(context: WalkContext): End {
  const { node, source, trail, peerOf, plannedRoute } = context;
  const planned = plannedRoute(source);
  const back = node.lookUp(source, {});
  const link = node.named(planned?.link ?? '') ?? (isWay(back) ? node.link(back.link) : undefined);
  if (link === undefined) return noWay(node, back, { to: source, who: 'this node' });
  const broken = dead(link);
  if (broken !== undefined) return broken;
  const peer = peerOf(source);
  const from = peer === undefined ? `${source}` : `${source} (${peer})`;
  trail.step(`node ${link.name}`, `packets of ${from} come in here`);
  return routed(context, link);
}

/** The node's own decision: `input` is where the packet came in, undefined for the node's own. */
function routed(context: WalkContext, input: Link | undefined): End {
  const { node, source, destination } = context;
  if (input !== undefined && !node.forwards(destination.family) && !isLocal(context)) {
    const key = destination.family === 'ipv4' ? 'net.ipv4.ip_forward' : 'net.ipv6.conf.all.forwarding';
    return dies(
      `this node does not forward ${destination.family} packets: ${key} is 0`,
      `sysctl -w ${key}=1`,
    );
  }
  const question = { from: source, ...(input === undefined ? {} : { in: input.index }) };
  const route = node.lookUp(destination, question);
  if (!isWay(route)) return noWay(node, route, { to: destination, who: 'this node' });
  if (route.type === RTN.BROADCAST) return everybody(destination);
  if (route.type === RTN.LOCAL) {
    context.trail.step('node', `${destination} is this node's own address: its host network takes it`);
    return { outcome: 'arrives', why: `at this node's own address ${destination}` };
  }
  const output = node.link(route.link);
  if (output === undefined) return dies('the route names no device');
  return sentOut(context, { route, output, question });
}

function isLocal({ node, destination }: WalkContext): boolean {
  const route = node.lookUp(destination, {});
  return isWay(route) && route.type === RTN.LOCAL;
}

const NO_WALLS = { notes: [], end: undefined } as const;

interface Decision {
  readonly route: Route;
  readonly output: Link;
  readonly question: RouteQuestion;
}

function sentOut(context: WalkContext, { route, output, question }: Decision): End {
  const { node, trail, destination, bridge } = context;
  const own =
    route.source ?? node.addresses(output.index).find(({ family }) => family === destination.family)?.ip;
  const input = node.link(question.in)?.name;
  const walls = input === undefined ? NO_WALLS : firewall(context, { input, output: output.name });
  const forward = input === undefined ? [] : [...forwardNotes(context), ...walls.notes];
  const notes = postroutingNotes(context, `${own ?? `an address of ${output.name}`}`);
  const way = routeText(node, route, { to: destination, question });
  trail.step('node, routing', way, walls.end === undefined ? [...forward, ...notes] : forward);
  const broken = wrongWay(context, output, route) ?? dead(output) ?? tooLarge(context, output) ?? walls.end;
  if (broken !== undefined) return broken;
  const next = route.gateway ?? destination;
  if (output.name === bridge) return toPod(context, output);
  if (output.kind?.type === 'vxlan') return tunnelled(context, { link: output, next });
  return onTheWire(context, { link: output, next });
}

/** A pod's packet that takes another way than its peer's: out there nobody knows pods. */
function wrongWay(context: WalkContext, output: Link, route: Route): End | undefined {
  const { node, destination, plannedRoute, peerOf, isNobodys, bridge } = context;
  const planned = plannedRoute(destination);
  const asPlanned =
    planned?.link === output.name && route.gateway !== undefined && planned.gateway.equals(route.gateway);
  if (planned !== undefined && !asPlanned) {
    const { dst, gateway, link } = planned;
    const own = node.named(link);
    const down = own === undefined ? undefined : dead(own);
    if (down !== undefined) return down;
    const why = `${destination} is a pod of ${peerOf(destination)}, and this is not the planned way, ${dst} via ${gateway} dev ${link}`;
    return dies(why, MEND);
  }
  if (!isNobodys(destination) || output.name === bridge) return undefined;
  return dies(
    `no node is known to have ${destination}, and beyond ${output.name} nobody knows pods`,
    'flannelctl peers lists the nodes and their pod subnets',
  );
}
