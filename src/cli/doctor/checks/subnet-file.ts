import { ConfigError } from '#base/errors.ts';
import type { Facts } from '../facts/facts.ts';
import { error, NotAsked, ok, type Check, type Finding } from '../finding.ts';

const WHY = 'the CNI plugin flannel takes subnet and MTU of new pods from it';

export const subnetFile: Check = {
  id: 'subnet-file',
  title: "subnet.env is there and says what this node's subnet is",
  run(facts) {
    const file = facts.agent.flags['subnet-file'];
    try {
      facts.parsedSubnetEnv();
    } catch (failure) {
      if (failure instanceof ConfigError)
        return [trouble(failure.message, 'rm it: the agent writes it again at once')];
      if (
        !(failure instanceof NotAsked) ||
        facts.agent.pid === undefined ||
        facts.statusIfAny?.ready !== true
      )
        throw failure;
      return [
        trouble(
          `${file} is not there, though the agent is ready`,
          `mkdir -p ${facts.runDir}; then the agent writes it`,
        ),
      ];
    }
    const differences = compare(facts);
    return differences.length > 0 ? differences : [ok(`${facts.subnets.join(' and ')} in ${file}`)];
  },
};

function trouble(what: string, cure: string): Finding {
  return error({ what, why: WHY, cure });
}

/** With what the agent has a lease of. */
function compare({ agent, statusIfAny, subnets, subnetEnv }: Facts): Finding[] {
  const { lease, mtu, ready } = statusIfAny ?? {};
  if (agent.pid === undefined || lease === undefined || ready !== true) return [];
  const leased = Object.values(lease.subnets);
  const written = subnets.map(String);
  const file = agent.flags['subnet-file'];
  if (leased.join() !== written.join())
    return [
      trouble(
        `${file} says ${written.join()}, but the lease is ${leased.join()}`,
        `rm ${file}: the agent writes it again`,
      ),
    ];
  if (mtu === undefined || mtu === subnetEnv().mtu) return [];
  return [
    trouble(
      `${file} says MTU ${subnetEnv().mtu}, but the agent ${mtu}`,
      `rm ${file}: the agent writes it again`,
    ),
  ];
}
