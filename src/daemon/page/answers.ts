import type { Conflict } from '#host/claims.ts';
import type { AgentStatus } from '../inspect/agent-status.ts';
import type { OverlayHead, OverlayPeer } from '../inspect/overlay.ts';
import type { Repair } from '../status.ts';

/** What the page asks the agent of a node: the agent asks itself, `flannelctl page` asks through the socket. */
export interface NodeAnswers {
  /** The status, and why the agent itself does not answer, if it does not. */
  readonly status: () => Promise<{ readonly status?: AgentStatus; readonly noAgent?: string }>;
  /** The newest last; without it those of the status. */
  readonly repairs?: () => readonly Repair[];
  /** Undefined until the node knows its subnet. */
  readonly plan: () => Promise<PagePlan | undefined>;
}

/** The plan, to be looked at while it is asked for. */
export interface PagePlan {
  /** Another one whenever something about a peer has changed. */
  readonly revision: number;
  readonly head: OverlayHead;
  readonly peers: () => Iterable<readonly [string, OverlayPeer]>;
  readonly peer: (name: string) => OverlayPeer | undefined;
  readonly conflicts: () => readonly Conflict[];
}
