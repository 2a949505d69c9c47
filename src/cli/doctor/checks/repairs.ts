import { ok, warning, type Check } from '../finding.ts';

/** Within this time, ms … */
const WINDOW = 600_000;
/** … so many repairs are somebody's doing. */
const MANY = 5;

export const repairs: Check = {
  id: 'repairs',
  title: 'nobody keeps changing what the agent makes',
  run(facts) {
    facts.needAgent();
    const since = facts.host.now() - WINDOW;
    const recent = facts.status().repairs.filter(({ at }) => Date.parse(at) > since);
    if (recent.length < MANY) return [ok(`${recent.length} repairs in ten minutes`)];
    return [
      warning({
        what: `${recent.length} repairs in ten minutes, the last: ${recent.at(-1)?.what ?? ''}`,
        why: 'another program works against the agent: packets are lost each time',
        cure: 'find it (ip monitor; nft monitor) and make it leave flannel.* alone: NetworkManager: unmanaged-devices=interface-name:flannel*;interface-name:cni0; systemd-networkd: Unmanaged=yes',
      }),
    ];
  },
};
