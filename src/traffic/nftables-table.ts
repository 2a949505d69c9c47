import type { Family } from '#net/family.ts';
import * as nft from '#nftables/build.ts';
import { PRIORITY, type Chain, type Rule, type Table, type TableKey } from '#nftables/objects.ts';
import {
  rulesFor,
  type AddressMatch,
  type FamilyRules,
  type RuleAction,
  type RuleSet,
  type TrafficRule,
} from './rules.ts';

/** The tables that are ours, one per family. */
export const FLANNEL_TABLES: Readonly<Record<Family, TableKey>> = {
  ipv4: { family: 'ip', name: 'flannel-ipv4' },
  ipv6: { family: 'ip6', name: 'flannel-ipv6' },
};

/**
 * The nftables form of `rules`: both tables, always. The one of a family that is off is empty but for its comment, as
 * the original leaves it.
 */
export function flannelTables(rules: RuleSet): Table[] {
  return (['ipv4', 'ipv6'] as const).map((family) => {
    const key = FLANNEL_TABLES[family];
    const own = rules.families.find((each) => each.family === family);
    return { ...key, comment: `rules for ${key.name}`, chains: own === undefined ? [] : chains(own) };
  });
}

function chains({ postrouting, forward }: FamilyRules): Chain[] {
  return [
    ...(postrouting === undefined ? [] : [postrtgChain(postrouting)]),
    ...(forward === undefined ? [] : [forwardChain(forward)]),
  ];
}

// chain postrtg { type nat hook postrouting priority srcnat; policy accept; }
function postrtgChain(rules: readonly TrafficRule[]): Chain {
  return {
    name: 'postrtg',
    comment: 'chain to manage traffic masquerading by flannel',
    hook: { type: 'nat', point: 'postrouting', priority: PRIORITY.srcnat, policy: 'accept' },
    rules: rulesFor('nftables', rules).map(nftRule),
  };
}

// chain forward { type filter hook forward priority filter; policy accept; }
function forwardChain(rules: readonly TrafficRule[]): Chain {
  return {
    name: 'forward',
    comment: 'chain to accept flannel traffic',
    // Never `drop`: it would cut off the node.
    hook: { type: 'filter', point: 'forward', priority: PRIORITY.filter, policy: 'accept' },
    rules: rulesFor('nftables', rules).map(nftRule),
  };
}

// meta mark 0x00004000 ip saddr != 10.244.0.0/16 ip daddr 10.244.1.0/24 return
function nftRule({ match, action }: TrafficRule): Rule {
  const { mark, source, destination, udpPort } = match;
  return nft.rule([
    mark === undefined ? [] : nft.mark('==', mark.value, mark.mask),
    source === undefined ? [] : nft.saddr(operator(source), source.cidr),
    destination === undefined ? [] : nft.daddr(operator(destination), destination.cidr),
    udpPort === undefined ? [] : nft.dport('udp', udpPort),
    actionPart(action),
  ]);
}

function actionPart(action: RuleAction): nft.Part {
  switch (action) {
    case 'accept':
      return nft.accept;
    case 'return':
      return nft.back;
    case 'masquerade':
      return nft.masquerade();
    case 'masquerade fully-random':
      return nft.masquerade({ fullyRandom: true });
  }
}

function operator({ not }: AddressMatch): '==' | '!=' {
  return not ? '!=' : '==';
}
