import { rulesFor, type AddressMatch, type FamilyRules, type RuleAction, type TrafficRule } from './rules.ts';

/** The place of one of our chains. */
export interface ChainPlace {
  readonly table: 'nat' | 'filter';
  readonly name: string;
  /** The built-in chain that jumps to it. */
  readonly from: 'POSTROUTING' | 'FORWARD';
  /** Marks the jump and each rule as ours. */
  readonly comment: string;
}

/** A chain as it must be, its rules in the form `iptables-save` prints behind `-A <chain> `. */
export interface WantedChain extends ChainPlace {
  readonly rules: readonly string[];
}

export const FLANNEL_CHAINS = {
  postrouting: { table: 'nat', name: 'FLANNEL-POSTRTG', from: 'POSTROUTING', comment: 'flanneld masq' },
  forward: { table: 'filter', name: 'FLANNEL-FWD', from: 'FORWARD', comment: 'flanneld forward' },
} as const satisfies Record<string, ChainPlace>;

/** What this iptables can do. */
export interface IptablesFeatures {
  /** `-j MASQUERADE --random-fully`, and `iptables-restore -w`: both came with 1.6.2. */
  readonly since162: boolean;
}

/** The iptables form of one family's rules. */
export function flannelChains(rules: FamilyRules, features: IptablesFeatures): WantedChain[] {
  const { postrouting, forward } = FLANNEL_CHAINS;
  const lines = (place: ChainPlace, list: readonly TrafficRule[]): WantedChain => ({
    ...place,
    rules: rulesFor('iptables', list).map((rule) => line(rule, place.comment, features)),
  });
  return [
    ...(rules.postrouting === undefined ? [] : [lines(postrouting, rules.postrouting)]),
    ...(rules.forward === undefined ? [] : [lines(forward, rules.forward)]),
  ];
}

/** The jump to a chain, as behind `-A POSTROUTING `. */
export function jumpLine({ name, comment }: ChainPlace): string {
  return `-m comment --comment "${comment}" -j ${name}`;
}

// ! -s 10.244.0.0/16 -d 10.244.1.0/24 -m mark --mark 0x4000/0x4000 -m comment --comment "flanneld masq" -j RETURN
function line({ match, action }: TrafficRule, comment: string, features: IptablesFeatures): string {
  const { mark, source, destination, udpPort } = match;
  const hex = (value: number) => `0x${value.toString(16)}`;
  const words = [
    ...(source === undefined ? [] : [address('-s', source)]),
    ...(destination === undefined ? [] : [address('-d', destination)]),
    ...(udpPort === undefined ? [] : [`-p udp -m udp --dport ${udpPort}`]),
    ...(mark === undefined
      ? []
      : [`-m mark --mark ${hex(mark.value)}${mark.mask === undefined ? '' : `/${hex(mark.mask)}`}`]),
    `-m comment --comment "${comment}"`,
    `-j ${target(action, features)}`,
  ];
  return words.join(' ');
}

function address(option: '-s' | '-d', { cidr, not }: AddressMatch): string {
  return `${not ? '! ' : ''}${option} ${cidr}`;
}

function target(action: RuleAction, { since162 }: IptablesFeatures): string {
  switch (action) {
    case 'accept':
      return 'ACCEPT';
    case 'return':
      return 'RETURN';
    case 'masquerade':
      return 'MASQUERADE';
    case 'masquerade fully-random':
      return since162 ? 'MASQUERADE --random-fully' : 'MASQUERADE';
  }
}
