import { parseStatus } from '../inspect/agent-status.ts';
import { overlayOf, peerOf, type OverlayParts } from '../inspect/overlay.ts';
import type { Repair } from '../status.ts';
import type { NodeAnswers, PagePlan } from './answers.ts';

/** What the agent knows of itself. */
export interface AgentView {
  readonly status: () => Record<string, unknown>;
  readonly repairs: () => readonly Repair[];
  readonly overlayParts: () => OverlayParts | undefined;
}

/** The agent asks itself. `start`: where revisions begin; a number that no earlier agent has come to. */
export function agentAnswers(agent: AgentView, start: number): NodeAnswers {
  const revision = revisions(start);
  return {
    status: async () => ({ status: parseStatus(JSON.stringify(agent.status())) }),
    repairs: agent.repairs,
    async plan() {
      const parts = agent.overlayParts();
      return parts && planOfParts(parts, revision(parts));
    },
  };
}

function planOfParts(parts: OverlayParts, revision: number): PagePlan {
  const { peers, ...head } = overlayOf(parts);
  return {
    revision,
    head,
    peers: () => peers,
    peer: (name) => peerOf(parts, name),
    conflicts: () => parts.peers.claims.conflicts(),
  };
}

/** Counts what is seen to be otherwise than at the last look: nothing is kept while nobody looks. */
function revisions(start: number): (parts: OverlayParts) => number {
  let revision = start;
  let seen = '';
  let run = new WeakRef<object>({});
  return ({ peers, refused, unreadable }) => {
    const now = [peers.revision, ...refused, '', ...[...unreadable].flat()].join('\n');
    if (now === seen && run.deref() === peers) return revision;
    seen = now;
    run = new WeakRef(peers);
    revision += 1;
    return revision;
  };
}
