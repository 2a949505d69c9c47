import { ConfigError, cureOf, describe, FlannelError } from '#base/errors.ts';
import { isMissing } from '#clients/k8s/errors.ts';
import { ALL, members } from '#clients/k8s/selection.ts';
import { error, NotAsked, ok, type Check, type Finding } from '../finding.ts';

const WHY = 'the agent learns of no node and publishes nothing while this is so; existing peers keep working';

export const api: Check = {
  id: 'api',
  title: 'the API server answers, and this node knows its name',
  async run({ cluster, signal }) {
    const start = performance.now();
    try {
      const client = await cluster.client();
      await client.get('/version', { select: members({ gitVersion: ALL }), signal });
      const ms = Math.round(performance.now() - start);
      const name = await cluster.nodeName();
      return [ok(`${client.server} in ${ms} ms; this node is ${name}`)];
    } catch (failure) {
      if (failure instanceof NotAsked) throw failure;
      return [troubleOf(failure)];
    }
  },
};

function troubleOf(failure: unknown): Finding {
  if (!(failure instanceof FlannelError) || failure.actor === 'bug') throw failure;
  const fallback =
    failure instanceof ConfigError
      ? 'mend the flag, variable or file that is named'
      : 'look at the API server';
  const what = isMissing(failure) ? `${describe(failure)} (is this the API server?)` : describe(failure);
  return error({ what, why: WHY, cure: cureOf(failure) ?? fallback });
}
