import type { Overlay } from '#daemon/inspect/overlay.ts';
import { claimsOf } from '#daemon/inspect/difference.ts';
import { overlayText } from '#daemon/inspect/overlay-text.ts';
import type { NodeAnswers, PagePlan } from '#daemon/page/answers.ts';
import { Shared } from '#page/server/shared.ts';
import type { NodeOptions } from '../node/options.ts';
import { overlayOfNode, statusOfNode } from '../node/view.ts';

/** How long a plan holds, ms: thousands of peers are megabytes to write, to send and to read. */
const HOLDS = 3000;

/** Asks the agent of this node at its socket, and without it its files. `now`: ms of a clock that never goes back. */
export function nodeAnswers(options: NodeOptions, { now }: { readonly now: () => number }): NodeAnswers {
  const plans = new Shared<PagePlan>(HOLDS, now);
  return {
    async status() {
      const { status, noAgent } = await statusOfNode(options);
      return { ...(status === undefined ? {} : { status }), ...(noAgent === undefined ? {} : { noAgent }) };
    },
    plan: () => plans.get('plan', async () => planOf((await overlayOfNode(options)).overlay)),
  };
}

/** The revision is a hash: whoever has seen the same plan, from this process or another, has seen it. */
function planOf(overlay: Overlay): PagePlan {
  const { peers, ...head } = overlay;
  let hash = 0n;
  for (const piece of overlayText(overlay)) hash = BigInt.asUintN(53, Bun.hash.wyhash(piece, hash));
  const conflicts = claimsOf(overlay).conflicts();
  return {
    revision: Number(hash),
    head,
    peers: () => peers,
    peer: (name) => peers.get(name),
    conflicts: () => conflicts,
  };
}
