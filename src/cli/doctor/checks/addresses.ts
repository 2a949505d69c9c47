import { capacity, reserved } from '#daemon/metrics/addresses.ts';
import { error, NotAsked, ok, warning, type Check } from '../finding.ts';

/** Less than this part free is little. */
const LITTLE = 0.1;

export const addresses: Check = {
  id: 'addresses',
  title: 'there are free addresses for pods',
  run(facts) {
    const { subnets } = facts;
    const used = reserved(facts.ipamDir, subnets);
    if (used === undefined)
      throw new NotAsked(`${facts.ipamDir} is not there: host-local has given out no address here`);
    return subnets.map((subnet, at) => {
      const all = capacity(subnet);
      const free = Math.max(0, all - (used[at] ?? 0));
      const trouble = {
        what: `${free} of ${all} addresses of ${subnet} are free`,
        cure: 'kubectl drain this node, or give nodes larger subnets (--node-cidr-mask-size of the kube-controller-manager; new nodes only); flannelctl doctor --only ipam shows reservations of pods that are gone',
      };
      if (free === 0)
        return error({
          ...trouble,
          why: 'no pod can be started here ("no IP addresses available in range set")',
        });
      if (free < all * LITTLE) return warning({ ...trouble, why: 'soon no pod can be started here' });
      return ok(trouble.what);
    });
  },
};
