import type { Expression } from './expression.ts';
import type { TableFamily } from './wire.ts';

/** Names a table: the same name may stand in each family. */
export interface TableKey {
  readonly family: TableFamily;
  readonly name: string;
}

/** A table with all its chains and rules, as written and as read back. */
export interface Table extends TableKey {
  /** At most 127 bytes. */
  readonly comment?: string | undefined;
  /** A dormant table is there and does nothing. */
  readonly dormant?: boolean | undefined;
  /** In the order of creation. */
  readonly chains: readonly Chain[];
}

/** What stands in front of a chain's rules. */
export interface ChainHead {
  readonly name: string;
  readonly comment?: string | undefined;
  /** Set for a base chain, which packets enter by themselves. */
  readonly hook?: BaseHook | undefined;
}

export interface Chain extends ChainHead {
  /** In the order they are evaluated. */
  readonly rules: readonly Rule[];
}

/** `type nat hook postrouting priority srcnat; policy accept;` */
export interface BaseHook {
  readonly type: ChainType;
  readonly point: HookPoint;
  /** Smaller goes first; see PRIORITY. */
  readonly priority: number;
  readonly policy: 'accept' | 'drop';
}

/** A base chain at the hook forward with the policy drop. What other tables accept does not save a packet from it. */
export interface ForwardDrop {
  readonly family: 'ip' | 'ip6' | 'inet';
  readonly table: string;
  readonly chain: string;
}

export type ChainType = 'filter' | 'nat' | 'route';

/** `enum nf_inet_hooks` (`linux/netfilter.h`). */
export const HOOK_POINT = {
  prerouting: 0,
  input: 1,
  forward: 2,
  output: 3,
  postrouting: 4,
  ingress: 5,
} as const;

export type HookPoint = keyof typeof HOOK_POINT;

/** nft's names for priorities (`enum nf_ip_hook_priorities`). */
export const PRIORITY = { dstnat: -100, filter: 0, srcnat: 100 } as const;

/** What a rule is known by, without what it does. */
export interface RuleHead extends Pick<Rule, 'comment' | 'tag' | 'handle'> {
  readonly chain: string;
}

export interface Rule {
  readonly expressions: readonly Expression[];
  /** At most 127 bytes. */
  readonly comment?: string | undefined;
  /** A second text that nft does not print, at most 123 bytes: whose rule it is. */
  readonly tag?: string | undefined;
  /** The kernel's number, in what was read; names the rule for deletion. */
  readonly handle?: bigint | undefined;
}
