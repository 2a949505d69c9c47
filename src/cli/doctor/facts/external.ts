import type { ExternalInterface } from '#backend/backend.ts';
import { viewOf } from '#daemon/external.ts';
import { PUBLIC_IP } from '#daemon/options.ts';
import { chooseInterface, publicAddress, type NotYet } from '#host/external-interface.ts';
import type { Family } from '#net/family.ts';
import { Ip } from '#net/ip.ts';
import type { Facts } from './facts.ts';

/** The interface that the agent has chosen, or would choose by its flags. Throws ConfigError for flags that can never match. */
export function chosenInterface(facts: Facts): ExternalInterface | NotYet {
  const { flags } = facts.agent;
  const status = facts.agent.pid === undefined ? undefined : facts.statusIfAny;
  const families = facts.configIfAny?.families ?? ['ipv4'];
  const published: Partial<Record<Family, Ip>> = {};
  for (const family of families) {
    const name = `--${PUBLIC_IP[family]}`;
    const said = Ip.tryParse(status?.lease?.publicIps[family] ?? '');
    const options = { name, family, annotation: said, own: undefined };
    const ip = publicAddress(flags[PUBLIC_IP[family]], options);
    if (ip !== undefined) published[family] = ip;
  }
  const used = status?.external?.name;
  const chosen = chooseInterface(viewOf(facts.net), {
    families,
    iface: used === undefined ? flags.iface : [used],
    ifaceRegex: used === undefined ? flags['iface-regex'] : [],
    canReach: used === undefined ? flags['iface-can-reach'] : '',
    publicIps: Object.values(published),
    modest: true,
  });
  if ('wait' in chosen) return chosen;
  const { link, addresses } = chosen;
  return { name: link.name, mtu: link.mtu, addresses, publicIps: { ...addresses, ...published } };
}
