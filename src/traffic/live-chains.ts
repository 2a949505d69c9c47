import { FlannelError } from '#base/errors.ts';
import type { Family } from '#net/family.ts';
import type { Ip } from '#net/ip.ts';
import { Nftables } from '#nftables/connection.ts';
import { ruleText } from '#nftables/text.ts';
import type { RunProgram } from './exec.ts';
import { FLANNEL_CHAINS, jumpLine } from './iptables-chain.ts';
import { IptablesTool } from './iptables-tool.ts';
import { programName, type Variant } from './iptables-variant.ts';
import { FLANNEL_TABLES } from './nftables-table.ts';
import { parseRuleLine } from './rule-parse.ts';
import type { RuleAction, TrafficMode, TrafficRule } from './rules.ts';

/** What our chains are for. */
export type ChainPurpose = 'forward' | 'postrouting';

/** One of our chains as it is in the kernel. */
export interface LiveChain {
  readonly mode: TrafficMode;
  readonly family: Family;
  readonly purpose: ChainPurpose;
  /** What it is called, with its table. */
  readonly title: string;
  /** In the order of evaluation. */
  readonly rules: readonly LiveRule[];
  /** False: no packet comes here, since nothing leads to it. */
  readonly reached: boolean;
}

export interface LiveRule {
  readonly text: string;
  /** Undefined: it is not one that we write. */
  readonly rule: TrafficRule | undefined;
}

/** The agent's chains of a family in both modes, those that are there. What cannot be read is not there. */
export async function readLiveChains(family: Family, run: RunProgram): Promise<LiveChain[]> {
  const chains = nftablesChains(family);
  for (const variant of ['nft', 'legacy'] as const)
    chains.push(...(await iptablesChains(family, variant, run)));
  return chains;
}

function nftablesChains(family: Family): LiveChain[] {
  try {
    using nftables = Nftables.open();
    const key = FLANNEL_TABLES[family];
    const table = nftables.read(key);
    return (table?.chains ?? []).flatMap(({ name, hook, rules }): LiveChain[] => {
      const purpose = name === 'postrtg' ? 'postrouting' : name === 'forward' ? 'forward' : undefined;
      if (purpose === undefined) return [];
      const reached = hook !== undefined && table?.dormant !== true;
      const lines = rules.map((rule) => liveRule('nftables', ruleText(rule)));
      return [
        {
          mode: 'nftables',
          family,
          purpose,
          title: `${key.family} ${key.name} ${name}`,
          rules: lines,
          reached,
        },
      ];
    });
  } catch (error) {
    return unreadable(error);
  }
}

async function iptablesChains(family: Family, variant: Variant, run: RunProgram): Promise<LiveChain[]> {
  try {
    const tool = new IptablesTool(run, variant, () => programName(family, variant));
    const live = await tool.read(family, undefined);
    return (['postrouting', 'forward'] as const).flatMap((purpose): LiveChain[] => {
      const place = FLANNEL_CHAINS[purpose];
      const table = live?.get(place.table);
      const rules = table?.get(place.name);
      if (rules === undefined) return [];
      const reached = table?.get(place.from)?.includes(jumpLine(place)) === true;
      const title = `${programName(family, variant)} -t ${place.table} ${place.name}`;
      const lines = rules.map((text) => liveRule('iptables', text));
      return [{ mode: 'iptables', family, purpose, title, rules: lines, reached }];
    });
  } catch (error) {
    return unreadable(error);
  }
}

function liveRule(mode: TrafficMode, text: string): LiveRule {
  return { text, rule: parseRuleLine(mode, text) };
}

/** A kernel or a host without one of the two has nothing of ours there. */
function unreadable(error: unknown): LiveChain[] {
  if (error instanceof FlannelError && error.actor !== 'bug') return [];
  throw error;
}

/** What a packet is judged by. */
export interface Judged {
  readonly source: Ip;
  readonly destination: Ip;
  readonly mark: number;
  /** Destination port, of UDP. */
  readonly udpPort?: number;
}

/** What one chain does with a packet. */
export interface Verdict {
  readonly chain: LiveChain;
  /** Number of the rule that decides, from 1; undefined: none does. */
  readonly at: number | undefined;
  /** Undefined: no rule matches, or the rule that stands first is not understood. */
  readonly action: RuleAction | undefined;
  /** Numbers of rules before it that are not ours and may have decided otherwise. */
  readonly strange: readonly number[];
}

/** The first rule that matches. Pure. */
export function judge(chain: LiveChain, packet: Judged): Verdict {
  const strange: number[] = [];
  for (const [index, { rule }] of chain.rules.entries()) {
    if (rule === undefined) strange.push(index + 1);
    else if (matches(rule, packet)) return { chain, at: index + 1, action: rule.action, strange };
  }
  return { chain, at: undefined, action: undefined, strange };
}

function matches({ match }: TrafficRule, packet: Judged): boolean {
  const { mark, source, destination, udpPort } = match;
  if (mark !== undefined && (packet.mark & (mark.mask ?? 0xffffffff)) >>> 0 !== mark.value) return false;
  if (source !== undefined && source.cidr.contains(packet.source) === source.not) return false;
  if (destination !== undefined && destination.cidr.contains(packet.destination) === destination.not)
    return false;
  return udpPort === undefined || udpPort === packet.udpPort;
}
