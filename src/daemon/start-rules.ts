import type { Logger } from '#base/log.ts';
import type { NetworkConfig } from '#subnet/config.ts';
import type { OwnRecord } from '#subnet/manager.ts';
import { createTraffic } from '#traffic/create.ts';
import { trafficRules, type FamilyNetwork } from '#traffic/rules.ts';
import type { FlagValues } from './flag-table.ts';
import { ensureBridgeNetfilter } from './bridge-netfilter.ts';
import { RulesKeeper } from './rules.ts';

export interface RulesParts {
  readonly config: NetworkConfig;
  readonly own: OwnRecord;
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
  const { config, own, flags, env, log, onResult } = parts;
  const mode = config.enableNftables ? 'nftables' : 'iptables';
  const families: FamilyNetwork[] = [];
  for (const family of config.families) {
    const network = config.networks[family];
    const subnet = own.subnets[family];
    if (network !== undefined && subnet !== undefined) families.push({ network: [network], subnet });
  }
  const rules = trafficRules({
    families,
    ipMasq: flags['ip-masq'],
    forward: flags['iptables-forward-rules'],
    randomFully: !flags['ip-masq-fully-random-disable'],
  });
  const traffic = createTraffic({ mode, env });
  if (mode === 'iptables') ensureBridgeNetfilter(config.families, log);
  const period = flags['iptables-resync'] * 1000;
  const keeper = new RulesKeeper({ traffic, rules, period, log, onResult });
  return { keeper, started: keeper.start() };
}
