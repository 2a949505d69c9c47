import type { Logger } from '#base/log.ts';
import { FAMILIES } from '#net/family.ts';
import { type Lease, type LeftOutReason, sameLease } from '../lease.ts';
import type { LeaseEvent, OwnAttributes, OwnRecord } from '../manager.ts';
import { SharedAddresses } from './addresses.ts';
import type { FollowerSink } from './follower.ts';
import type { NodeView } from './node.ts';
import { type LeaseContext, nodeLease } from './node-lease.ts';

export interface PeersOptions extends LeaseContext {
  readonly log: Logger;
  /** This node: never reported as a peer. */
  readonly own: () => OwnRecord;
  /** What this node publishes, to notice a peer that says the same. */
  readonly attributes: () => OwnAttributes | undefined;
  readonly onEvent: (event: LeaseEvent) => void;
  /** This node's own Node as the API shows it; undefined when it was deleted. */
  readonly onOwn: (node: NodeView | undefined) => void;
}

/** How many complaints about peers are logged one by one per list; the rest are counted. */
const LOUD = 20;

/** Turns Nodes into lease events: only what changes something is passed on. */
export class Peers implements FollowerSink<Lease> {
  readonly #options: PeersOptions;
  #leases = new Map<string, Lease>();
  /** What was last complained about, by node: the same complaint is not repeated with every heartbeat. */
  #problems = new Map<string, string>();
  #leftOut = new Map<string, LeftOutReason>();
  #before: ReadonlyMap<string, string> = new Map();
  #quiet = 0;

  readonly #addresses: SharedAddresses;

  constructor(options: PeersOptions) {
    this.#options = options;
    this.#addresses = new SharedAddresses(options.log);
  }

  /** Nodes that are no peers, or not with all of their families, by name. */
  get leftOut(): ReadonlyMap<string, LeftOutReason> {
    return this.#leftOut;
  }

  begin(): void {
    this.#before = this.#problems;
    this.#problems = new Map();
    this.#leftOut = new Map();
    this.#quiet = 0;
  }

  reduce(node: NodeView): Lease | undefined {
    if (node.name !== this.#options.own().name) return this.#read(node, this.#before);
    this.#options.onOwn(node);
    return undefined;
  }

  reset(leases: readonly Lease[]): void {
    this.#leases = new Map(leases.map((lease) => [lease.name, lease]));
    this.#before = new Map();
    if (this.#quiet > 0) this.#options.log.warn('more peers have problems', { count: this.#quiet });
    this.#quiet = -LOUD;
    this.#addresses.reset(leases);
    this.#options.onEvent({ type: 'reset', leases: new Map(this.#leases) });
  }

  put(node: NodeView): void {
    if (node.name === this.#options.own().name) {
      this.#options.onOwn(node);
      return;
    }
    const lease = this.#read(node, this.#problems);
    const known = this.#leases.get(node.name);
    if (lease === undefined) {
      this.#forget(node.name);
    } else if (known === undefined || !sameLease(known, lease)) {
      this.#leases.set(node.name, lease);
      this.#addresses.replace(known, lease);
      this.#options.onEvent({ type: 'put', lease });
    }
  }

  delete(name: string): void {
    if (name === this.#options.own().name) {
      this.#options.onOwn(undefined);
      return;
    }
    this.#problems.delete(name);
    this.#leftOut.delete(name);
    this.#forget(name);
  }

  #forget(name: string): void {
    this.#addresses.replace(this.#leases.get(name), undefined);
    if (this.#leases.delete(name)) this.#options.onEvent({ type: 'delete', name });
  }

  #read(node: NodeView, known: ReadonlyMap<string, string>): Lease | undefined {
    const found = nodeLease(node, this.#options);
    const problems = [...found.problems];
    let { lease, leftOut } = found;
    if (lease !== undefined) {
      const overlap = this.#overlap(lease);
      if (overlap !== undefined) {
        problems.push(overlap);
        lease = undefined;
        leftOut ??= 'own_subnet';
      } else problems.push(...this.#sameAddress(lease));
    }
    if (leftOut === undefined) this.#leftOut.delete(node.name);
    else this.#leftOut.set(node.name, leftOut);
    const text = problems.join('; ');
    const earlier = known.get(node.name);
    if (text === '') this.#problems.delete(node.name);
    else {
      this.#problems.set(node.name, text);
      if (text !== earlier) this.#complain(node.name, text, lease === undefined);
    }
    return lease;
  }

  #complain(peer: string, problem: string, skipped: boolean): void {
    this.#quiet += 1;
    if (this.#quiet > LOUD) return;
    this.#options.log.warn(skipped ? 'peer skipped' : 'peer has a problem', { peer, reason: problem });
  }

  /** A peer that claims our own subnet would cut off our own pods. */
  #overlap(lease: Lease): string | undefined {
    for (const family of FAMILIES) {
      const ours = this.#options.own().subnets[family];
      const theirs = lease.families[family]?.subnet;
      if (ours !== undefined && theirs?.overlaps(ours) === true)
        return `its subnet ${theirs} overlaps ours, ${ours}`;
    }
    return undefined;
  }

  #sameAddress(lease: Lease): string[] {
    const attributes = this.#options.attributes();
    return FAMILIES.flatMap((family) => {
      const ours = attributes?.publicIp[family];
      const theirs = lease.families[family]?.publicIp;
      return ours !== undefined && theirs?.equals(ours) === true
        ? [`it publishes our own public IP ${ours}`]
        : [];
    });
  }
}
