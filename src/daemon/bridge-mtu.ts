import { describe } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { Cidr } from '#net/cidr.ts';
import type { Rtnetlink } from '#rtnetlink/client.ts';

/** How often a bridge that had to wait for its pods is looked at again, ms. */
const PERIOD = 30_000;

type Kernel = Pick<Rtnetlink, 'links' | 'addresses' | 'setLink'>;

export interface BridgeMtuOptions {
  readonly rtnetlink: Kernel;
  /** This node's gateway addresses: a bridge that has one is the pods'. */
  readonly gateways: readonly Cidr[];
  /** FLANNEL_MTU of the run before; undefined when there was none. */
  readonly before: number | undefined;
  /** FLANNEL_MTU, bytes. */
  readonly mtu: number;
  readonly log: Logger;
}

/**
 * Lets the pods' bridge follow a change of FLANNEL_MTU. Only one that had exactly the MTU before: another was chosen by
 * the operator. Pods that are there keep theirs, and the bridge must not pass what a pod's interface would drop without
 * a word, so it never gets more than the smallest of its ports has; while one has less, it is looked at again.
 */
export class BridgeMtu implements Disposable {
  readonly #options: BridgeMtuOptions;
  #timer: ReturnType<typeof setInterval> | undefined;
  #following: ReadonlySet<number> = new Set();

  constructor(options: BridgeMtuOptions) {
    this.#options = options;
    const { before, mtu } = options;
    if (before === undefined || before === mtu) return;
    this.#guard(() => {
      this.#following = new Set(
        this.#bridges()
          .filter((link) => link.mtu === before)
          .map(({ index }) => index),
      );
      if (!this.#follow()) this.#timer = setInterval(() => this.#again(), PERIOD);
    });
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #again(): void {
    this.#guard(() => {
      if (this.#follow()) clearInterval(this.#timer);
    });
  }

  /** The kernel's refusal is told; it must not end the agent. */
  #guard(step: () => void): void {
    try {
      step();
    } catch (error) {
      clearInterval(this.#timer);
      this.#options.log.warn('the bridge cannot follow the MTU', { error: describe(error) });
    }
  }

  #bridges() {
    const { rtnetlink, gateways } = this.#options;
    const owners = new Set(
      rtnetlink
        .addresses()
        .filter(({ cidr }) => gateways.some((gateway) => gateway.equals(cidr)))
        .map(({ link }) => link),
    );
    return rtnetlink.links().filter((link) => link.kind?.type === 'bridge' && owners.has(link.index));
  }

  /** True when there is nothing left to do. */
  #follow(): boolean {
    const { rtnetlink, mtu, log } = this.#options;
    const links = rtnetlink.links();
    let done = true;
    for (const bridge of links.filter(({ index }) => this.#following.has(index))) {
      const ports = links.filter(({ master }) => master === bridge.index);
      const wanted = Math.min(mtu, ...ports.map((port) => port.mtu));
      if (wanted < mtu) done = false;
      if (bridge.mtu === wanted) continue;
      rtnetlink.setLink(bridge.index, { mtu: wanted });
      const keep = ports.filter((port) => port.mtu !== mtu).length;
      log.info('the bridge follows the MTU', { bridge: bridge.name, found: bridge.mtu, mtu: wanted, keep });
    }
    return done;
  }
}
