import type { NodeAnswers, PagePlan } from '#daemon/page/answers.ts';
import { planOf } from '#daemon/page/plan-of.ts';
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
