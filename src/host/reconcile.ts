import { type ErrnoError, type FlannelError, isExists, isNotFound } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { Cidr } from '#net/cidr.ts';
import { FAMILIES, type Family } from '#net/family.ts';
import type { Claims, EntryChange } from './claims.ts';
import { DirectRecord, isDirect } from './direct-record.ts';
import type { DirectRoutes } from './direct-routes.ts';
import { describeRival, liveEntries, type Rival } from './entries.ts';
import type { HostLink, KernelOp, KernelPort } from './kernel.ts';
import { linkDifference, staleLinks } from './links.ts';
import { familyOf, mendedBy, Pass, type PassReport } from './pass.ts';
import { describeEntry, entryKey, sameEntry, type Entry, type HostPlan, type VxlanLink } from './plan.ts';

/** What is gone already need not be removed. */
const REMOVALS: ReadonlySet<KernelOp['op']> = new Set([
  'remove',
  'delete-link',
  'delete-address',
  'delete-blackhole',
]);

/** Entries written together, and how many make a large step. */
const GROUP = 384;
const LARGE = 8 * GROUP;

export interface ReconcilerOptions {
  readonly kernel: KernelPort;
  readonly directRoutes: DirectRoutes;
  readonly log: Logger;
  /** Those that are planned; an error in one of several does not block. Default: both. */
  readonly families?: readonly Family[];
  /** Called between large steps (thousands of entries): a place to collect garbage before the next one makes more. */
  readonly relax?: () => void;
  /** How many findings of a pass are put into words; default: enough for a log. */
  readonly foundLimit?: number;
}

/** The only writer to the kernel's network state: makes it equal to the plan and touches nothing else. */
export class Reconciler {
  readonly #kernel: KernelPort;
  readonly #direct: DirectRecord;
  readonly #log: Logger;
  readonly #families: readonly Family[];
  readonly #relax: () => void;
  readonly #foundLimit: number | undefined;
  /** Keys of entries that the kernel does not take. */
  readonly #refused = new Set<string>();
  /** Foreign routes that were found to go before ours. */
  #before: ReadonlySet<string> = new Set();
  /** Families that may have blackhole routes of ours; those of an earlier run are not known. */
  #blackholeFamilies: ReadonlySet<Family> = new Set(FAMILIES);

  constructor(options: ReconcilerOptions) {
    this.#kernel = options.kernel;
    this.#direct = new DirectRecord(options.directRoutes, options.log);
    this.#log = options.log;
    this.#families = options.families ?? FAMILIES;
    this.#relax = options.relax ?? (() => {});
    this.#foundLimit = options.foundLimit;
  }

  /** Keys (`entryKey`) of planned entries that the kernel refused when they were last tried: a live view. */
  get refused(): ReadonlySet<string> {
    return this.#refused;
  }

  /** Reads everything, writes the difference, removes what is ours and not planned. */
  full(plan: HostPlan): PassReport {
    const pass = new Pass(this.#families, this.#foundLimit);
    pass.guard(() => {
      const links = this.#devices(pass, plan);
      // A peer is blocked before its route goes, and blocked no more when it has one: never is there neither.
      const blocked = this.#block(pass, plan.blackholes, this.#blackholeFamilies);
      this.#entries(pass, plan, links);
      this.#unblock(pass, plan.blackholes, blocked);
      // Last: until now they may have carried what now has another route.
      this.#sweep(pass, staleLinks(plan, [...links.values()]));
    });
    return pass.report();
  }

  /** Links and their addresses alone: at start, when the peers are not known yet and theirs must stay as it is. */
  devices(plan: HostPlan): PassReport {
    const pass = new Pass(this.#families);
    pass.guard(() => {
      this.#devices(pass, plan);
      // Those of an earlier run may be for peers that are not known yet.
      this.#block(pass, plan.blackholes);
    });
    return pass.report();
  }

  /** One peer's change: just its entries. Errors mean that a full pass should follow. */
  change(plan: HostPlan, change: EntryChange): readonly FlannelError[] {
    const pass = new Pass(this.#families);
    this.#change(pass, plan, change);
    return pass.report().errors;
  }

  #change(pass: Pass, plan: HostPlan, change: EntryChange): void {
    const errorsBefore = pass.report().errors.length;
    const routes = change.put.filter((entry) => entry.type === 'route');
    const direct = routes.filter((route) => isDirect(plan, route));
    this.#direct.remember(direct);
    // Routes come last and go first, and the new is there before the old goes: a packet never takes a route whose
    // neighbour or FDB entry is not there.
    pass.guard(() => {
      this.#writeEntries(pass, 'put', [...change.put].sort(routesLast));
      this.#writeEntries(pass, 'remove', [...change.remove].sort(routesFirst));
    });
    // A direct route that is now one through our link is no longer there, too.
    const gone = [...routes, ...change.remove.filter((entry) => entry.type === 'route')].filter(
      (route) => !direct.includes(route),
    );
    const sound = pass.report().errors.length === errorsBefore;
    if (sound) this.#direct.forget(gone);
  }

  /** Returns the links by name, as they are afterwards. */
  #devices(pass: Pass, plan: HostPlan): ReadonlyMap<string, HostLink> {
    const live = this.#kernel.links();
    // A device of another VNI may hold the port; without a device of our own it serves until the routes are made.
    const stale = staleLinks(plan, live).filter(({ kind }) => kind === 'vxlan');
    if (plan.links.length > 0) this.#sweep(pass, stale);
    for (const link of plan.links) {
      this.#link(pass, link, live);
      // What ethtool cannot do must not keep the rest from being done.
      pass.guard(() => this.#txChecksum(pass, link));
    }
    const links = new Map(this.#kernel.links().map((link) => [link.name, link]));
    for (const link of plan.links) {
      const current = links.get(link.name);
      if (current !== undefined) this.#addresses(pass, link, current);
    }
    return links;
  }

  #sweep(pass: Pass, links: readonly HostLink[]): void {
    for (const { name } of links) {
      pass.findStale(() => `link ${name} of an earlier configuration`);
      if (this.#write(pass, [{ op: 'delete-link', name }]) === 0) pass.mend('link');
    }
  }

  /**
   * Adds what is missing, and returns what was there. Reads whole tables, so only of families that have some, or may have:
   * `others`.
   */
  #block(pass: Pass, wanted: readonly Cidr[], others: ReadonlySet<Family> = new Set()): readonly Cidr[] {
    const families = others.union(familiesOf(wanted));
    const live = [...families].flatMap((family) => this.#kernel.blackholes(family));
    const missing = without(wanted, live);
    for (const dst of missing) pass.find(() => `blackhole route ${dst} missing`);
    const ops = missing.map((dst): KernelOp => ({ op: 'add-blackhole', dst }));
    this.#write(pass, ops);
    return live;
  }

  /** Removes what is not wanted of what was there. */
  #unblock(pass: Pass, wanted: readonly Cidr[], live: readonly Cidr[]): void {
    const stale = without(live, wanted);
    for (const dst of stale) pass.findStale(() => `blackhole route ${dst} is not planned`);
    const ops = stale.map((dst): KernelOp => ({ op: 'delete-blackhole', dst }));
    if (this.#write(pass, ops) === 0) this.#blackholeFamilies = familiesOf(wanted);
  }

  #link(pass: Pass, wanted: VxlanLink, live: readonly HostLink[]): void {
    const named = (name: string) => live.find((link) => link.name === name);
    const difference = linkDifference(wanted, named(wanted.name), named(wanted.parent));
    for (const found of difference.found) pass.find(() => found);
    if (difference.ops.length > 0) {
      if (this.#write(pass, difference.ops, wanted.local.family) > 0) return;
      const macs = difference.ops.filter((op) => op.op === 'set-link' && op.mac !== undefined).length;
      pass.mend('mac', macs);
      pass.mend('link', difference.found.length - macs);
    }
    const settled = this.#kernel.settleLink(wanted.name, wanted.local.family);
    if (difference.created) return;
    for (const key of settled) pass.find(() => `${key} of ${wanted.name} was not 0`);
    pass.mend('link', settled.length);
  }

  #txChecksum(pass: Pass, { name, local, txChecksum: wanted }: VxlanLink): void {
    if (wanted === undefined || this.#kernel.txChecksum(name) === wanted) return;
    pass.find(() => `tx-checksum-ip-generic of ${name} is ${wanted ? 'off, not on' : 'on, not off'}`);
    this.#write(pass, [{ op: 'set-tx-checksum', name, on: wanted }], local.family);
  }

  #addresses(pass: Pass, wanted: VxlanLink, live: HostLink): void {
    const present = this.#kernel.addresses(live.index).filter((address) => address.scope === 0);
    const ops: KernelOp[] = [];
    for (const { cidr } of present) {
      if (wanted.addresses.some((address) => address.equals(cidr))) continue;
      pass.findStale(() => `address ${cidr} on ${wanted.name} is not planned`);
      ops.push({ op: 'delete-address', link: wanted.name, cidr });
    }
    for (const cidr of wanted.addresses) {
      if (present.some((address) => address.cidr.equals(cidr))) continue;
      pass.find(() => `address ${cidr} missing on ${wanted.name}`);
      ops.push({ op: 'add-address', link: wanted.name, cidr });
    }
    this.#write(pass, ops);
  }

  #entries(pass: Pass, plan: HostPlan, byName: ReadonlyMap<string, HostLink>): void {
    const put: Entry[] = [];
    const remove: Entry[] = [];
    const right = new Set<Entry>();
    const wrong = new Map<Entry, Entry>();
    const relax = plan.entries.size > LARGE ? this.#relax : () => {};
    const rivals: Rival[] = [];
    const onRival = (rival: Rival) => void rivals.push(rival);
    const options = { links: byName, remembered: this.#direct.known(), relax, onRival };
    for (const entry of liveEntries(this.#kernel, plan, options)) {
      const wanted = plan.entries.get(entryKey(entry));
      if (wanted === undefined) {
        pass.findStale(() => `${describeEntry(entry)} is not planned`);
        remove.push(entry);
      } else if (sameEntry(entry, wanted)) right.add(wanted);
      // The kernel replaces it in place, a route that merely moves to another link, too.
      else wrong.set(wanted, entry);
    }
    for (const entry of plan.entries.values()) {
      if (right.has(entry)) continue;
      const there = wrong.get(entry);
      pass.find(() =>
        there === undefined ? `${describeEntry(entry)} missing` : `${describeEntry(there)} is not as planned`,
      );
      put.push(entry);
    }
    this.#overtaken(rivals.filter(({ before }) => before));
    // Beside ours: the kernel keeps both, and takes the first.
    for (const { wanted, there, before } of rivals) {
      if (before || !right.has(wanted)) continue;
      pass.find(() => `another route to ${wanted.dst} in the place of ours: ${describeRival(there, byName)}`);
      this.#write(pass, [{ op: 'evict', route: there }]);
      put.push(wanted);
    }
    this.#refused.clear();
    this.#direct.forgetVanished(plan, remove);
    this.#direct.adopt(plan, right);
    if (put.length === 0 && remove.length === 0) return;
    this.#change(pass, plan, { put, remove });
  }

  /** An administrator's route with a better metric is no damage, but who looks for lost packets should know of it. */
  #overtaken(rivals: readonly Rival[]): void {
    const now = new Set(rivals.map(({ wanted, there }) => `${wanted.dst} metric ${there.priority ?? 0}`));
    for (const what of now) {
      if (!this.#before.has(what))
        this.#log.warn('a route of somebody else goes before the one to a peer', { route: what });
    }
    this.#before = now;
  }

  /** In groups, so that the requests of thousands of entries are not in memory all at once. */
  #writeEntries(pass: Pass, op: 'put' | 'remove', entries: readonly Entry[]): void {
    for (let at = 0; at < entries.length; at += GROUP) {
      if (at > 0 && at % LARGE === 0) this.#relax();
      this.#write(
        pass,
        entries.slice(at, at + GROUP).map((entry) => ({ op, entry })),
      );
    }
  }

  /** `family`: that of all of them. Returns the number of errors. Wanted outcomes (already there, already gone) are none. */
  #write(pass: Pass, ops: readonly KernelOp[], family?: Family): number {
    if (ops.length === 0) return 0;
    let errors = 0;
    const answers = this.#kernel.apply(ops);
    for (const [index, op] of ops.entries()) {
      const error = answers[index];
      if (error === undefined || isWanted(op, error)) {
        const kind = mendedBy(op);
        if (kind !== undefined) pass.mend(kind);
        if ('entry' in op && this.#refused.size > 0) this.#refused.delete(entryKey(op.entry));
        continue;
      }
      if (op.op === 'put') this.#refused.add(entryKey(op.entry));
      errors += 1;
      pass.fail(error, family ?? familyOf(op));
      this.#log.debug('the kernel refuses a change', { op: op.op, error });
    }
    pass.count(ops.length - errors);
    return errors;
  }
}

/** What was to be made is there already, or what was to go is gone. */
function isWanted(op: KernelOp, error: ErrnoError): boolean {
  return (REMOVALS.has(op.op) && isNotFound(error)) || (op.op === 'add-address' && isExists(error));
}

/** The plan made of links and of what the peers claim. */
export function planOf(devices: Omit<HostPlan, 'entries'>, claims: Claims): HostPlan {
  return { ...devices, entries: claims.entries };
}

function familiesOf(cidrs: readonly Cidr[]): ReadonlySet<Family> {
  return new Set(cidrs.map(({ family }) => family));
}

/** Those of `cidrs` that are not among `others`, each once. */
function without(cidrs: readonly Cidr[], others: readonly Cidr[]): Cidr[] {
  const left = new Map(cidrs.map((cidr) => [cidr.toString(), cidr]));
  for (const other of others) left.delete(other.toString());
  return [...left.values()];
}

function rank(entry: Entry): number {
  return entry.type === 'route' ? 1 : 0;
}

function routesLast(a: Entry, b: Entry): number {
  return rank(a) - rank(b);
}

function routesFirst(a: Entry, b: Entry): number {
  return rank(b) - rank(a);
}
