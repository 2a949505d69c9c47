import type { Logger } from '#base/log.ts';
import type { VxlanLink } from '#host/plan.ts';
import type { NetworkConfig } from '#subnet/config.ts';
import type { OwnRecord } from '#subnet/manager.ts';
import { createTraffic } from '#traffic/create.ts';
import { trafficRules, type FamilyNetwork } from '#traffic/rules.ts';
import type { FlagValues } from './flag-table.ts';
import { ensureBridgeNetfilter } from './bridge-netfilter.ts';
import { masqueradeExclude } from './masquerade-exclude.ts';
import { RulesKeeper } from './rules.ts';

export interface RulesParts {
  readonly config: NetworkConfig;
  readonly own: OwnRecord;
  /** The backend's: their outer packets are never masqueraded. */
  readonly links: readonly Pick<VxlanLink, 'local' | 'port'>[];
  readonly flags: FlagValues;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: Logger;
  readonly onResult: (error: string | undefined, repaired: number) => void;
}

/** The keeper of this node's traffic rules, in the mode that the configuration names. */
export function startRules(parts: RulesParts): {
  readonly keeper: RulesKeeper;
  readonly started: Promise<void>;
} {
  const { config, own, links, flags, env, log, onResult } = parts;
  const mode = config.enableNftables ? 'nftables' : 'iptables';
  const families: FamilyNetwork[] = [];
  for (const family of config.families) {
    const network = config.networks[family];
    const subnet = own.subnets[family];
    if (network === undefined || subnet === undefined) continue;
    const link = links.find(({ local }) => local.family === family);
    const overlay = link === undefined ? {} : { overlay: { source: link.local, port: link.port } };
    families.push({ network: [network], subnet, ...overlay });
  }
  const exclude = masqueradeExclude(flags);
  const off = exclude.filter(({ family }) => !config.families.includes(family));
  if (off.length > 0)
    log.warn('--ip-masq-exclude names networks of a family that is off', { networks: off.join(',') });
  const rules = trafficRules({
    families,
    ipMasq: flags['ip-masq'],
    forward: flags['iptables-forward-rules'],
    randomFully: !flags['ip-masq-fully-random-disable'],
    exclude,
  });
  const traffic = createTraffic({ mode, env });
  if (mode === 'iptables') ensureBridgeNetfilter(config.families, log);
  const period = flags['iptables-resync'] * 1000;
  const keeper = new RulesKeeper({ traffic, rules, period, log, onResult });
  return { keeper, started: keeper.start() };
}
