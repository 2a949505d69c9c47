import type { Overlay, OverlayPeer } from '#daemon/inspect/overlay.ts';
import type { Claims } from '#host/claims.ts';
import { describeEntry, entryKey, type Entry } from '#host/plan.ts';
import { factsOf } from '#daemon/inspect/peer-facts.ts';
import type { Screen } from '#lab/report/screen.ts';
import { table, type Column } from '#lab/report/table.ts';
import { escapeControl } from '#base/log.ts';
import { claimsOf, differenceOf, type Difference } from '#daemon/inspect/difference.ts';
import { document } from './output.ts';
import type { NodeOptions } from './options.ts';
import { overlayOfNode } from './view.ts';

/** Whether packets for a peer find their way. */
export type PeerState = 'programmed' | 'not as planned' | 'left out' | 'conflict' | 'refused';

export interface PeerRow {
  readonly name: string;
  readonly state: PeerState;
  /** In words, where it is not simply programmed. */
  readonly why?: string;
  /** Pod subnets that have a route in the plan. */
  readonly subnets: readonly string[];
  /** Where its packets are sent to. */
  readonly addresses: readonly string[];
  readonly macs: readonly string[];
  readonly entries: readonly Entry[];
}

export interface RowParts {
  readonly claims: Claims;
  readonly difference: Pick<Difference, 'wrong'>;
}

/** The peers of the plan with what the kernel says of them. */
export function peerRows(overlay: Overlay, { claims, difference }: RowParts): PeerRow[] {
  const lost = new Map<string, string>();
  for (const { entry, winner, loser } of claims.conflicts()) {
    const what = entry.type === 'route' ? `${entry.dst}` : describeEntry(entry);
    // The route says more than the neighbour that comes with it.
    if (!lost.has(loser) || entry.type === 'route') lost.set(loser, `${winner} has ${what}`);
  }
  const refused = new Set(overlay.refused);
  return [...overlay.peers]
    .map(([name, peer]) => {
      const { entries } = peer;
      const wrong = entries.filter((entry) => difference.wrong.has(entryKey(entry))).length;
      const refusedHere = entries.some((entry) => refused.has(entryKey(entry)));
      return {
        name,
        ...stateOf(peer, { lost: lost.get(name), refused: refusedHere, wrong }),
        ...factsOf(entries),
        entries,
      };
    })
    .toSorted((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
}

interface Trouble {
  readonly lost: string | undefined;
  readonly refused: boolean;
  readonly wrong: number;
}

function stateOf({ entries, leftOut }: OverlayPeer, trouble: Trouble): Pick<PeerRow, 'state' | 'why'> {
  const { lost, refused, wrong } = trouble;
  if (leftOut !== undefined) return { state: 'left out', why: leftOut.why || leftOut.reason };
  if (lost !== undefined) return { state: 'conflict', why: lost };
  if (refused) return { state: 'refused', why: 'the kernel does not take its entries; the log says why' };
  if (wrong === 0) return { state: 'programmed' };
  return { state: 'not as planned', why: `${wrong} of ${entries.length} entries missing or otherwise` };
}

const COLUMNS: readonly Column[] = [
  { title: 'peer' },
  { title: 'subnet' },
  { title: 'address' },
  { title: 'VTEP MAC' },
  { title: 'state' },
];

const PAINT = {
  programmed: 'green',
  'not as planned': 'red',
  'left out': 'yellow',
  conflict: 'yellow',
  refused: 'red',
} as const satisfies Record<PeerState, string>;

/** `flannelctl peers`. */
export async function peers(options: NodeOptions, screen: Screen): Promise<number> {
  const { overlay, noAgent } = await overlayOfNode(options);
  const difference = await differenceOf(overlay, { runDir: options.runDir, env: process.env });
  const rows = peerRows(overlay, { claims: claimsOf(overlay), difference });
  const { form } = options;
  if (form === 'json' || form === 'yaml') {
    screen.write(document(form, { source: sourceOf(noAgent), peers: rows, stale: difference.stale }));
    return 0;
  }
  if (noAgent !== undefined) screen.line(screen.paint('yellow', noAgentLine(noAgent)));
  const cell = (texts: readonly string[]) => (texts.length === 0 ? '-' : texts.join('\n'));
  const columns = form === 'wide' ? [...COLUMNS, { title: 'entries', align: 'right' } as const] : COLUMNS;
  const cells = rows.map(({ name, subnets, addresses, macs, state, why, entries }) => [
    escapeControl(name),
    cell(subnets),
    cell(addresses),
    cell(macs),
    screen.paint(PAINT[state], state) + (why === undefined ? '' : `: ${escapeControl(why)}`),
    String(entries.length),
  ]);
  if (rows.length === 0) screen.line('no peers');
  else screen.lines(table(columns, cells));
  if (difference.stale.length > 0) {
    screen.line();
    screen.line('in the kernel, and of no peer:');
    screen.lines(difference.stale.map((entry) => `  ${describeEntry(entry)}`));
  }
  return 0;
}

export function sourceOf(noAgent: string | undefined): {
  readonly from: 'agent' | 'files';
  readonly why?: string;
} {
  return noAgent === undefined ? { from: 'agent' } : { from: 'files', why: noAgent };
}

export function noAgentLine(noAgent: string): string {
  return `${escapeControl(noAgent)}: what follows is from its files and the kernel`;
}
