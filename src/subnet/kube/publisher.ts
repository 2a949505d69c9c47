import { isMissing } from '#clients/k8s/errors.ts';
import { FAMILIES } from '#net/family.ts';
import type { OwnAttributes } from '../manager.ts';
import type { AnnotationKeys } from './annotations.ts';
import { type NodeView, nodeSelection, parseNode } from './node.ts';
import { parsePublicIp } from './node-lease.ts';
import { getNode, nodePath, type OwnContext } from './own.ts';
import { retry, Waits } from '../retry.ts';

/** After so long without a foreign edit the next one is answered at once again, ms. */
const QUIET = 600_000;

/** Keeps the annotations of this node's Node as they should be. */
export class Publisher {
  readonly #context: OwnContext;
  /** Two agents that take themselves for the same node must not fight hot: the waits grow up to five minutes. */
  readonly #waits: Waits;
  #desired: OwnAttributes | undefined;
  #asserting = false;
  /** A foreign edit was seen while an assertion was under way. */
  #again = false;
  #assertedAt = Number.NEGATIVE_INFINITY;

  constructor(context: OwnContext) {
    this.#context = context;
    this.#waits = new Waits(context, { initial: 1000, max: 300_000 });
  }

  /** Publishes `attributes`, trying again until it worked. Rejects with the signal's reason. */
  async publish(attributes: OwnAttributes, signal: AbortSignal): Promise<void> {
    this.#desired = attributes;
    await retry(this.#context, {
      what: 'publishing the annotations',
      signal,
      attempt: () => this.#apply(signal),
    });
  }

  /** Takes this node's Node as the watch shows it; asserts the annotations again when somebody changed them. */
  observe(view: NodeView, signal: AbortSignal): void {
    if (this.#desired === undefined || difference(view, this.#desired, this.#context.keys).size === 0) return;
    if (this.#asserting) {
      this.#again = true;
      return;
    }
    this.#asserting = true;
    void this.#assert(signal).finally(() => {
      this.#asserting = false;
    });
  }

  /** Never rejects. */
  async #assert(signal: AbortSignal): Promise<void> {
    const { clock, log, observer } = this.#context;
    try {
      do {
        if (clock.monotonic() - this.#assertedAt > QUIET) this.#waits.reset();
        else await this.#waits.sleep(signal);
        this.#again = false;
        const attempt = () => this.#apply(signal);
        const changed = await retry(this.#context, { what: 'asserting the annotations', signal, attempt });
        if (changed.length === 0) continue;
        this.#assertedAt = clock.monotonic();
        observer.leaseRepaired(changed);
        log.warn('somebody changed the annotations of this node; they are set again', {
          keys: changed.join(','),
        });
      } while (this.#again && !signal.aborted);
    } catch {
      // Only the signal ends `retry` and `sleep`: the agent stops.
    }
  }

  /** One attempt, on the newest state; returns the keys that had to be written. */
  async #apply(signal: AbortSignal): Promise<readonly string[]> {
    const { client, nodeName, keys, log } = this.#context;
    const desired = this.#desired;
    if (desired === undefined) return [];
    let view: NodeView;
    try {
      view = await getNode(this.#context, signal);
    } catch (error) {
      // A deleted Node comes back as an event of the watch, if ever; at start its absence is worth a retry.
      if (isMissing(error) && this.#asserting) return [];
      throw error;
    }
    const changes = difference(view, desired, keys, (key, value) => {
      log.warn('annotation ignored: not a unicast address', { key, value: value.slice(0, 64) });
    });
    if (changes.size === 0) return [];
    const body = { metadata: { annotations: Object.fromEntries(changes) } };
    const select = nodeSelection(keys);
    parseNode(
      await client.patch(`${nodePath(nodeName)}/status`, { type: 'strategic', body, select, signal }),
    );
    this.#context.observer.published();
    log.debug('annotations of this node written', { keys: [...changes.keys()].join(',') });
    return [...changes.keys()];
  }
}

/** The annotations of `view` that are not as `desired` wants them. `onIgnored` hears of an unusable overwrite. */
export function difference(
  view: NodeView,
  desired: OwnAttributes,
  keys: AnnotationKeys,
  onIgnored: (key: string, value: string) => void = () => {},
): Map<string, string> {
  const wanted = new Map([
    [keys.managed, 'true'],
    [keys.backendType, desired.backendType],
  ]);
  for (const family of FAMILIES) {
    const ip = desired.publicIp[family];
    if (ip === undefined) continue;
    // The node that carries the overwrite applies it; peers read `public-ip` alone (flannel pkg/subnet/kube/kube.go).
    const overwrite = view.annotations.get(keys.publicIpOverwrite[family]) ?? '';
    const replaced = overwrite === '' ? undefined : parsePublicIp(overwrite, family);
    if (overwrite !== '' && replaced === undefined) onIgnored(keys.publicIpOverwrite[family], overwrite);
    wanted.set(keys.publicIp[family], String(replaced ?? ip));
    wanted.set(keys.backendData[family], desired.backendData[family] ?? 'null');
  }
  for (const [key, value] of wanted) if (view.annotations.get(key) === value) wanted.delete(key);
  return wanted;
}
