import { BRIDGE_NETFILTER } from '#daemon/bridge-netfilter.ts';
import { error, NotAsked, orOk, type Check } from '../finding.ts';

const WHY = 'services that are answered by a pod of the same node do not work in iptables mode';

export const brNetfilter: Check = {
  id: 'br-netfilter',
  title: 'bridged packets pass iptables (br_netfilter)',
  run(facts) {
    if (facts.mode === 'nftables') throw new NotAsked('only iptables mode needs it');
    const families = facts.configIfAny?.families ?? ['ipv4'];
    const findings = families.flatMap((family) => {
      const path = BRIDGE_NETFILTER[family];
      const name = path.replaceAll('/', '.');
      const value = facts.host.sysctl(path);
      if (value === '1') return [];
      if (value === undefined)
        return error({
          what: `the kernel module br_netfilter is not loaded (there is no ${name})`,
          why: WHY,
          cure: 'modprobe br_netfilter; echo br_netfilter >> /etc/modules-load.d/flannel.conf',
        });
      return error({ what: `${name} is ${value}, not 1`, why: WHY, cure: `sysctl -w ${name}=1` });
    });
    return orOk(findings, 'bridge-nf-call is 1');
  },
};
