import { hasErrno, isNotFound } from '#base/errors.ts';
import type { Ip } from '#net/ip.ts';
import type { Facts } from '../facts/facts.ts';
import { allSides } from '../facts/peer-sides.ts';
import { few, NotAsked, orOk, warning, type Check } from '../finding.ts';

/** How many peers' addresses are looked up: routes of whole networks decide, not single ones. */
const MOST = 256;

export const rpFilter: Check = {
  id: 'rp-filter',
  title: 'strict reverse path filtering drops no outer packets',
  async run(facts) {
    const external = facts.external();
    const strict = strictness(facts, external.name);
    if (strict === undefined) return orOk([], `not strict on ${external.name}`);
    const index = facts.linkNamed(external.name)?.index;
    const sides = allSides(await facts.overlay()).filter(({ publicIp }) => publicIp.family === 'ipv4');
    const peers = sides.slice(0, MOST);
    const elsewhere = peers.filter(({ publicIp }) => linkTo(facts, publicIp) !== index);
    if (elsewhere.length === 0)
      return orOk([], `strict, and the way back to ${peers.length} peers is ${external.name}`);
    return [
      warning({
        what: `${strict} is 1, and the route to ${few(elsewhere.map(({ name }) => name))} does not lead through ${external.name}`,
        why: `the kernel drops what these peers send to ${external.name}: it would answer another way`,
        cure: `sysctl -w net.ipv4.conf.all.rp_filter=2 net.ipv4.conf.${external.name}.rp_filter=2`,
      }),
    ];
  },
};

/** The kernel takes the larger value of the two (Documentation/networking/ip-sysctl.rst). The name of the one that is strict. */
function strictness({ host }: Facts, link: string): string | undefined {
  const values = ['all', link].map((name) => [name, host.sysctl(`net/ipv4/conf/${name}/rp_filter`)] as const);
  if (values.every(([, value]) => value === undefined))
    throw new NotAsked('this kernel has no reverse path filter');
  if (values.some(([, value]) => value === '2')) return undefined;
  const strict = values.find(([, value]) => value === '1');
  return strict === undefined ? undefined : `net.ipv4.conf.${strict[0]}.rp_filter`;
}

function linkTo({ net }: Facts, ip: Ip): number | undefined {
  try {
    return net.routeTo(ip).link;
  } catch (failure) {
    const none = isNotFound(failure) || hasErrno(failure, 'ENETUNREACH') || hasErrno(failure, 'EHOSTUNREACH');
    if (none) return undefined;
    throw failure;
  }
}
