import { NLM_F, type NetlinkRequest } from '#netlink/message.ts';
import { delChain, delRule, delTable, newChain, newRule, newTable } from './message.ts';
import type { ChainHead, Rule, Table, TableKey } from './objects.ts';
import { BATCH, writeBatchHeader } from './wire.ts';

/** One step of a transaction, in nft's words. */
export type Change =
  | { readonly do: 'add table'; readonly table: TableKey; readonly comment?: string | undefined }
  | { readonly do: 'delete table'; readonly table: TableKey }
  | { readonly do: 'add chain'; readonly table: TableKey; readonly chain: ChainHead }
  | { readonly do: 'flush chain' | 'delete chain'; readonly table: TableKey; readonly chain: string }
  | {
      readonly do: 'add rule' | 'insert rule';
      readonly table: TableKey;
      readonly chain: string;
      readonly rule: Rule;
    }
  | { readonly do: 'delete rule'; readonly table: TableKey; readonly chain: string; readonly handle: bigint };

/**
 * The steps that put `table` in the place of whatever has its name: the first `add` makes the `delete` valid where
 * there is none. All chains come before all rules, since a rule may jump to any of them.
 */
export function replaceTable(table: Table): Change[] {
  return [
    { do: 'add table', table },
    { do: 'delete table', table },
    { do: 'add table', table, comment: table.comment },
    ...table.chains.map((chain): Change => ({ do: 'add chain', table, chain })),
    ...table.chains.flatMap((chain) =>
      chain.rules.map((rule): Change => ({ do: 'add rule', table, chain: chain.name, rule })),
    ),
  ];
}

/** The messages of one transaction, with its begin and end (`linux/netfilter/nfnetlink.h`). */
export function transactionRequests(changes: readonly Change[]): NetlinkRequest[] {
  const frame = (type: number): NetlinkRequest => ({
    type,
    flags: 0,
    what: type === BATCH.BEGIN ? 'begin an nf_tables transaction' : 'end an nf_tables transaction',
    write: writeBatchHeader,
  });
  const requests = changes.map(changeRequest);
  // One acknowledgement for all: the kernel sends it when the whole transaction has been made.
  const last = requests.pop();
  if (last !== undefined) requests.push({ ...last, flags: last.flags | NLM_F.ACK });
  return [frame(BATCH.BEGIN), ...requests, frame(BATCH.END)];
}

function changeRequest(change: Change): NetlinkRequest {
  switch (change.do) {
    case 'add table':
      return newTable(change.table, change.comment);
    case 'delete table':
      return delTable(change.table);
    case 'add chain':
      return newChain(change.table, change.chain);
    case 'flush chain':
      return delRule(change.table, change.chain);
    case 'delete chain':
      return delChain(change.table, change.chain);
    case 'add rule':
      return newRule(change.table, change.chain, change.rule, 'end');
    case 'insert rule':
      return newRule(change.table, change.chain, change.rule, 'front');
    case 'delete rule':
      return delRule(change.table, change.chain, change.handle);
  }
}
