import { OVERHEAD } from '#backend/vxlan.ts';
import { error, orOk, warning, type Check, type Finding } from '../finding.ts';
import type { Facts } from '../facts/facts.ts';

export const mtu: Check = {
  id: 'mtu',
  title: 'overlay, external interface and bridge have MTUs that fit',
  async run(facts) {
    const { devices } = await facts.overlay();
    const { name, mtu: outer } = facts.external();
    const findings: Finding[] = devices.links.flatMap((link) => {
      const needed = link.mtu + OVERHEAD[link.local.family];
      if (needed <= outer) return [];
      return error({
        what: `${link.name} has an MTU of ${link.mtu}: with ${OVERHEAD[link.local.family]} bytes of VXLAN that is more than the ${outer} of ${name}`,
        why: 'long packets between pods of different nodes are lost: connections open and then stall',
        cure: `set Backend.MTU to ${outer} or less in net-conf.json, or: ip link set ${name} mtu ${needed}`,
      });
    });
    return orOk([...findings, ...bridge(facts)], `${name} ${outer}, ${few(devices.links)}`);
  },
};

function few(links: readonly { readonly name: string; readonly mtu: number }[]): string {
  return links.map((link) => `${link.name} ${link.mtu}`).join(', ');
}

/** What pods were given when they started. */
function bridge({ status, links, options }: Facts): Finding[] {
  const wanted = status().mtu;
  const found = links().find(({ name }) => name === options.bridge)?.mtu;
  if (wanted === undefined || found === undefined || found === wanted) return [];
  const trouble = {
    what: `the MTU of ${options.bridge} is ${found}, not ${wanted}`,
    cure: `ip link set ${options.bridge} mtu ${wanted}; pods that were started before get it when they are started again`,
  };
  if (found < wanted)
    return [warning({ ...trouble, why: 'pods send shorter packets than they could, or lose long ones' })];
  return [
    error({
      ...trouble,
      why: 'long packets of pods do not fit the overlay: connections open and then stall',
    }),
  ];
}
