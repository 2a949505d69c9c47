import { error, NotAsked, ok, type Check } from '../finding.ts';

export const bridge: Check = {
  id: 'bridge',
  title: "the pods' bridge has the address of this node's subnet",
  run(facts) {
    const { bridge: name } = facts.options;
    const link = facts.linkNamed(name);
    if (link === undefined) throw new NotAsked(`there is no ${name}: no pod has been started yet`);
    const own = facts.net.addresses({ link: link.index }).filter(({ scope }) => scope === 0);
    const missing = Object.values(facts.subnetEnv().gateways).filter(
      (gateway) => !own.some(({ cidr }) => cidr.equals(gateway)),
    );
    const ports = facts.links().filter(({ master }) => master === link.index).length;
    if (missing.length === 0) return [ok(`${name}, ${ports} pods`)];
    const there = own.filter(({ cidr }) => missing.some(({ family }) => family === cidr.family));
    const found = there.length === 0 ? 'no address' : there.map(({ cidr }) => cidr).join(', ');
    return [
      error({
        what: `${name} has ${found}, not ${missing.join(', ')}`,
        why: 'pods cannot be started ("already has an IP address different from"), or have no gateway',
        cure:
          ports === 0
            ? `ip link delete ${name} (the next pod makes it anew)`
            : `kubectl drain this node, then ip link delete ${name}: ${ports} pods are on it`,
      }),
    ];
  },
};
