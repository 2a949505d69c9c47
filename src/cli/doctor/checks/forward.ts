import { createTraffic } from '#traffic/create.ts';
import type { RuleSet } from '#traffic/rules.ts';
import { error, NotAsked, ok, type Check } from '../finding.ts';

export const forward: Check = {
  id: 'forward',
  title: "no other program's firewall drops packets of pods",
  async run(facts) {
    if (!facts.agent.flags['iptables-forward-rules'])
      throw new NotAsked('--iptables-forward-rules is false: forwarding is left to others');
    const families = facts.configIfAny?.families ?? ['ipv4'];
    const rules: RuleSet = { families: families.map((family) => ({ family, forward: [] })) };
    await using backend = createTraffic({ mode: facts.mode, env: facts.env }).backend;
    const found = backend.drops?.(rules) ?? [];
    if (found.length === 0) return [ok('no chain at the hook forward drops by policy')];
    return found.map((chain) =>
      error({
        what: `the ${chain} drops forwarded packets unless a rule in it accepts them`,
        why: 'what the rules of Flannel accept is dropped there all the same: pods do not reach other nodes or the world',
        cure: `accept the pod network there: nft insert rule ${ruleAt(chain)} ${accepted(facts.configIfAny?.networks.ipv4?.toString())}; or set its policy to accept`,
      }),
    );
  },
};

/** `chain forward of table inet filter` as nft's commands have it. */
function ruleAt(chain: string): string {
  const [, name = '', table = ''] = /^chain (\S+) of table (.+)$/.exec(chain) ?? [];
  return `${table} ${name}`;
}

function accepted(network = '<Network>'): string {
  return `ip saddr ${network} accept (and the same with ip daddr)`;
}
