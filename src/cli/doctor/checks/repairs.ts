import type { AgentRepair } from '#daemon/inspect/agent-status.ts';
import { ok, warning, type Check } from '../finding.ts';

/** Within this time, ms … */
const WINDOW = 600_000;
/** … so many repairs of one kind are somebody's doing. */
const MANY = 5;

export const repairs: Check = {
  id: 'repairs',
  title: 'nobody keeps changing what the agent makes',
  run(facts) {
    facts.needAgent();
    const since = facts.host.now() - WINDOW;
    const recent = facts.status().repairs.filter(({ at }) => Date.parse(at) > since);
    const [worst = []] = byKind(recent).sort((a, b) => b.length - a.length);
    if (worst.length < MANY) return [ok(`${recent.length} repairs in ten minutes`)];
    return [
      warning({
        what: `${worst.length} repairs of the same kind in ten minutes, the last: ${worst.at(-1)?.what ?? ''}`,
        why: 'another program works against the agent: packets are lost each time',
        cure: 'find it (ip monitor; nft monitor) and make it leave flannel.* alone: NetworkManager: unmanaged-devices=interface-name:flannel*;interface-name:cni0; systemd-networkd: Unmanaged=yes',
      }),
    ];
  },
};

function byKind(list: readonly AgentRepair[]): AgentRepair[][] {
  const kinds = new Map<string, AgentRepair[]>();
  for (const repair of list) {
    const kind = Object.keys(repair.counts).sort().join();
    kinds.set(kind, [...(kinds.get(kind) ?? []), repair]);
  }
  return [...kinds.values()];
}
