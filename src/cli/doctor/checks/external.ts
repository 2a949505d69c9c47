import { chosenInterface } from '../facts/external.ts';
import { error, ok, warning, type Check, type Finding } from '../finding.ts';

export const external: Check = {
  id: 'external',
  title: 'there is an interface to the other nodes',
  run(facts) {
    const chosen = chosenInterface(facts);
    if ('wait' in chosen)
      return [
        error({
          what: chosen.wait,
          why: 'the agent waits for it: this node gets no overlay',
          cure: 'ip route add default via <gateway>, or name the interface with --iface',
        }),
      ];
    const { name, mtu, addresses } = chosen;
    const findings: Finding[] = [];
    const families = facts.configIfAny?.families ?? ['ipv4'];
    for (const family of families.filter((each) => addresses[each] === undefined))
      findings.push(
        warning({
          what: `${name} has no ${family} address`,
          why: `pods of this node have no ${family} network`,
          cure: `ip addr add <${family} address> dev ${name}, or name another interface with --iface`,
        }),
      );
    if (facts.linkNamed(name)?.running !== true)
      findings.push(
        error({
          what: `${name} is down or has no carrier`,
          why: 'nothing reaches the other nodes',
          cure: `ip link set ${name} up; look after the cable, or the virtual switch`,
        }),
      );
    return findings.length > 0
      ? findings
      : [ok(`${name}, ${Object.values(addresses).join(' and ')}, MTU ${mtu}`)];
  },
};
