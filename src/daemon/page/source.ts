import type { PageSource } from '#page/server/source.ts';
import type { PagePlan } from './answers.ts';
import { entryStates } from './entry-state.ts';
import { overview, type OverviewOptions } from './overview.ts';
import { peerView, peerViews, troublesOf } from './peer-view.ts';
import { probe } from './probe.ts';
import { rulesView } from './rules-view.ts';

export interface NodeSourceOptions extends OverviewOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** What the page shows of one node: what its agent wants, and what its kernel has. Reads when asked, writes nothing. */
export function nodeSource(options: NodeSourceOptions): PageSource {
  const { answers, openKernel, now, env } = options;
  const ofPeer = async <T>(name: string, make: (plan: PagePlan) => Promise<T> | T) => {
    const plan = await answers.plan();
    return plan?.peer(name) === undefined ? undefined : make(plan);
  };
  return {
    overview: () => overview(options),
    async peers() {
      const plan = await answers.plan();
      return plan && { revision: plan.revision, peers: peerViews(plan) };
    },
    peer: (name) =>
      ofPeer(name, (plan) => {
        const peer = plan.peer(name) ?? { entries: [] };
        const troubles = troublesOf(plan);
        using kernel = openKernel();
        const entries = entryStates(peer.entries, { kernel, refused: troubles.refused });
        return { ...peerView(name, peer, troubles), entries };
      }),
    probe: (name) =>
      ofPeer(name, async (plan) => {
        const peer = plan.peer(name) ?? { entries: [] };
        using kernel = openKernel();
        return await probe({ peer, links: plan.head.devices.links, kernel, now });
      }),
    async rules() {
      const plan = await answers.plan();
      return plan?.head.rules && rulesView(plan.head.rules, env);
    },
  };
}
