import type { Logger } from '#base/log.ts';
import type { VxlanLink } from '#host/plan.ts';
import type { NetworkConfig } from '#subnet/config.ts';
import type { OwnRecord } from '#subnet/manager.ts';
import { createTraffic } from '#traffic/create.ts';
import { trafficRules, type FamilyNetwork, type RuleSet, type TrafficMode } from '#traffic/rules.ts';
import type { FlagValues } from './flag-table.ts';
import { ensureBridgeNetfilter } from './bridge-netfilter.ts';
import { masqueradeExclude } from './masquerade-exclude.ts';
import { RulesKeeper } from './rules.ts';

export interface PlannedRulesParts {
  readonly config: NetworkConfig;
  readonly own: Pick<OwnRecord, 'subnets'>;
  /** The backend's: their outer packets are never masqueraded. */
  readonly links: readonly Pick<VxlanLink, 'local' | 'port'>[];
  readonly flags: FlagValues;
}

export interface RulesParts extends PlannedRulesParts {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: Logger;
  readonly onResult: (error: string | undefined, repaired: number) => void;
}

/** The rules that this node is to have. Pure. */
export function plannedRules({ config, own, links, flags }: PlannedRulesParts): RuleSet {
  const families: FamilyNetwork[] = [];
  for (const family of config.families) {
    const network = config.networks[family];
    const subnet = own.subnets[family];
    if (network === undefined || subnet === undefined) continue;
    const link = links.find(({ local }) => local.family === family);
    const overlay = link === undefined ? {} : { overlay: { source: link.local, port: link.port } };
    families.push({ network: [network], subnet, ...overlay });
  }
  return trafficRules({
    families,
    ipMasq: flags['ip-masq'],
    forward: flags['iptables-forward-rules'],
    randomFully: !flags['ip-masq-fully-random-disable'],
    exclude: masqueradeExclude(flags),
  });
}

/** The keeper of this node's traffic rules, in the mode that the configuration names. */
export function startRules(parts: RulesParts): {
  readonly keeper: RulesKeeper;
  readonly started: Promise<void>;
} {
  const { config, flags, env, log, onResult } = parts;
  const off = masqueradeExclude(flags).filter(({ family }) => !config.families.includes(family));
  if (off.length > 0)
    log.warn('--ip-masq-exclude names networks of a family that is off', { networks: off.join(',') });
  const mode = rulesMode(config);
  const traffic = createTraffic({ mode, env });
  if (mode === 'iptables') ensureBridgeNetfilter(config.families, log);
  const period = flags['iptables-resync'] * 1000;
  const keeper = new RulesKeeper({ traffic, rules: plannedRules(parts), period, log, onResult });
  return { keeper, started: keeper.start() };
}

/** Which of the kernel's rule tools the configuration names. */
export function rulesMode({ enableNftables }: Pick<NetworkConfig, 'enableNftables'>): TrafficMode {
  return enableNftables ? 'nftables' : 'iptables';
}
