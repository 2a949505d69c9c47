import { neighbourShortages } from '#daemon/neighbour-table.ts';
import { NotAsked, orOk, warning, type Check } from '../finding.ts';

export const neighbourTable: Check = {
  id: 'neighbour-table',
  title: "the kernel's neighbour tables are large enough for this node's pods",
  run(facts) {
    const { sysctl } = facts.host;
    if (sysctl('net/ipv4/neigh/default/gc_thresh3') === undefined)
      throw new NotAsked("the limits are the machine's, and cannot be seen from this network namespace");
    const { gateways } = facts.subnetEnv();
    const findings = neighbourShortages(gateways, sysctl).map(({ found, needed, cure }) =>
      warning({
        what: `${found}, and a node full of pods needs ${needed}`,
        why: 'the kernel drops packets to pods and hosts whose neighbour entry it has no room for',
        cure,
      }),
    );
    return orOk(findings, `room for the pods of ${facts.subnets.join(' and ')}`);
  },
};
