import { FORWARDING } from '#daemon/sysctls.ts';
import { error, orOk, warning, type Check } from '../finding.ts';

export const forwarding: Check = {
  id: 'forwarding',
  title: 'the kernel forwards packets',
  run(facts) {
    const families = facts.configIfAny?.families ?? ['ipv4'];
    // An agent that starts sets it, where it may.
    const severe = facts.agent.pid === undefined ? warning : error;
    const findings = families.flatMap((family) => {
      const path = FORWARDING[family];
      const name = path.replaceAll('/', '.');
      const value = facts.host.sysctl(path);
      if (value === '1') return [];
      return severe({
        what: `${name} is ${value ?? 'not there'}, not 1`,
        why: `no pod of this node reaches another node, or is reached from there, by ${family}`,
        cure: `sysctl -w ${name}=1; echo ${name}=1 >> /etc/sysctl.d/90-flannel.conf`,
      });
    });
    return orOk(findings, `on for ${families.join(' and ')}`);
  },
};
