import { join } from 'node:path';
import { FileDirectRoutes } from '#host/direct-routes.ts';
import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import { RT_TABLE, RTN, RTPROT } from '#rtnetlink/constants.ts';
import type { Route } from '#rtnetlink/route.ts';
import type { Facts } from '../facts/facts.ts';
import { error, info, orOk, type Check, type Finding } from '../finding.ts';

const CURE =
  'give the cluster another pod network (Network and --cluster-cidr of the kube-controller-manager), or the host another one';

export const overlap: Check = {
  id: 'overlap',
  title: "the pod network is nobody else's",
  run(facts) {
    const networks = Object.values(facts.config().networks);
    const findings = networks.flatMap((network) => [
      ...services(facts, network),
      ...addresses(facts, network),
      ...routes(facts, network),
    ]);
    return orOk(findings, networks.join(' and '));
  },
};

function services({ options, agent }: Facts, network: Cidr): Finding[] {
  const api = Ip.tryParse(agent.env['KUBERNETES_SERVICE_HOST'] ?? '');
  const known = [...options.serviceCidrs, ...(api === undefined ? [] : [new Cidr(api, api.bits)])];
  return known
    .filter((cidr) => cidr.overlaps(network))
    .map((cidr) =>
      error({
        what: `the pod network ${network} overlaps the service range ${cidr}`,
        why: 'a service and a pod can have the same address',
        cure: 'choose a Network outside of --service-cluster-ip-range of the kube-apiserver',
      }),
    );
}

/** Links whose addresses and routes in the pod network are Flannel's. */
function isOurs({ options, links }: Facts, index: number | undefined): boolean {
  const link = links().find((each) => each.index === index);
  return link !== undefined && (link.name === options.bridge || /^flannel[.-]/.test(link.name));
}

function addresses(facts: Facts, network: Cidr): Finding[] {
  return facts.net
    .addresses({ family: network.family })
    .filter(({ link, cidr }) => network.contains(cidr.ip) && !isOurs(facts, link))
    .map(({ link, cidr }) =>
      error({
        what: `${nameOf(facts, link)} has the address ${cidr}, inside the pod network ${network}`,
        why: 'pods of this address, or of its network, cannot be reached from here',
        cure: CURE,
      }),
    );
}

/** Those of the kernel come with addresses, which are told of already. */
function routes(facts: Facts, network: Cidr): Finding[] {
  const direct = new FileDirectRoutes(join(facts.runDir, 'direct-routes')).known();
  const isDirect = (route: Route) => direct.some(({ dst }) => route.dst?.equals(dst) === true);
  return facts.net.routes({ family: network.family, table: RT_TABLE.MAIN }).flatMap((route) => {
    const { dst, type, protocol } = route;
    if (dst === undefined || protocol === RTPROT.KERNEL || type !== RTN.UNICAST) return [];
    if (!dst.overlaps(network) || isOurs(facts, route.link) || isDirect(route)) return [];
    const where = route.link === undefined ? 'several ways' : nameOf(facts, route.link);
    const wide = dst.contains(network) && dst.length < network.length;
    if (wide)
      return info({
        what: `the route ${dst} by ${where} covers the pod network ${network}`,
        why: 'hosts there that have addresses of the pod network cannot be reached from this node and its pods',
        cure: `nothing when there are none; else: ${CURE}`,
      });
    return error({
      what: `the route ${dst} by ${where} lies in the pod network ${network}`,
      why: 'packets to pods of these addresses take it instead of the overlay',
      cure: `ip route del ${dst} dev ${where}; or ${CURE}`,
    });
  });
}

function nameOf({ links }: Facts, index: number): string {
  return links().find((link) => link.index === index)?.name ?? `link ${index}`;
}
