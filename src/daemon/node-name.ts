import { Backoff } from '#base/backoff.ts';
import type { Clock } from '#base/clock.ts';
import { ConfigError, cureOf, describe } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { KubeClient } from '#clients/k8s/client.ts';
import { findNodeName } from '#subnet/kube/node-name.ts';
import type { Recall } from '#subnet/remembered/recall.ts';

export interface NodeNameContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly client: KubeClient;
  readonly recall: Recall;
  readonly log: Logger;
  readonly clock: Clock;
  /** Uniform random in [0, 1). */
  readonly random: () => number;
  readonly signal: AbortSignal;
  readonly onWait: (reason: string) => void;
  /** The API has at last named another node than the record. */
  readonly onOther: (name: string) => void;
}

/**
 * This node's name: NODE_NAME without asking anybody, else from our pod as soon as the API answers, else that of the
 * last known state. Throws ConfigError when neither the environment nor the API can ever tell.
 */
export async function nodeName(context: NodeNameContext): Promise<string> {
  const { recall, signal } = context;
  const asked = ask(context);
  const answer = await recall.patient(asked, { answers: () => false, signal });
  const remembered = recall.snapshot?.own.name;
  if (answer !== undefined || remembered === undefined) return answer?.value ?? asked;
  // Rejects when stopped, or when the API's answer is no name, which is told by then.
  void asked.then((name) => name === remembered || context.onOther(name)).catch(() => {});
  return remembered;
}

async function ask({ env, client, log, clock, random, signal, onWait }: NodeNameContext): Promise<string> {
  const backoff = new Backoff({ initial: 500, max: 15_000, random });
  for (let said = ''; ;) {
    try {
      return await findNodeName({ env, client, signal });
    } catch (error) {
      if (signal.aborted || error instanceof ConfigError) throw error;
      const text = describe(error);
      if (text !== said) {
        const cure = cureOf(error);
        log.warn('the name of this node is not known yet; trying again', {
          error: text,
          ...(cure !== undefined && { cure }),
        });
      }
      said = text;
      onWait(`name of this node: ${text}`);
      await clock.sleep(backoff.next(), signal);
    }
  }
}
