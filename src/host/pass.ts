import { FlannelError } from '#base/errors.ts';
import type { Family } from '#net/family.ts';
import type { KernelOp } from './kernel.ts';
import type { Entry } from './plan.ts';

/** What a pass can mend. */
export const MENDED_KINDS = ['link', 'mac', 'address', 'neighbour', 'fdb', 'route', 'blackhole'] as const;

export type MendedKind = (typeof MENDED_KINDS)[number];

/** What one pass found and did. */
export interface PassReport {
  /** Changes written. */
  readonly written: number;
  /** What was not as planned, in words: the first of them. */
  readonly found: readonly string[];
  /** Those of `found` that are there and should not be. */
  readonly stale: readonly string[];
  /** Number of things that were not as planned. */
  readonly foundCount: number;
  /** How many of them were mended, by kind: what the kernel refused is not among them. */
  readonly mended: ReadonlyMap<MendedKind, number>;
  readonly errors: readonly FlannelError[];
  /** The first error, unless it concerns one family and another one is without. */
  readonly blocking: FlannelError | undefined;
}

/** How many findings are put into words unless told otherwise: enough for a log. */
const FOUND_LIMIT = 20;

/** Takes down what a pass finds and does. */
export class Pass {
  readonly #found: string[] = [];
  readonly #stale: string[] = [];
  readonly #errors: FlannelError[] = [];
  readonly #mended = new Map<MendedKind, number>();
  /** Those that all errors so far are of; undefined once there was one of the whole node. */
  #failed: Set<Family> | undefined = new Set();
  readonly #families: readonly Family[];
  readonly #foundLimit: number;
  #foundCount = 0;
  #written = 0;

  /** `families`: those that are planned. */
  constructor(families: readonly Family[], foundLimit = FOUND_LIMIT) {
    this.#families = families;
    this.#foundLimit = foundLimit;
  }

  /** The words are made only for the first few. */
  find(what: () => string): void {
    this.#foundCount += 1;
    if (this.#found.length < this.#foundLimit) this.#found.push(what());
  }

  /** As `find`, of something that is there and should not be. */
  findStale(what: () => string): void {
    const before = this.#found.length;
    this.find(what);
    this.#stale.push(...this.#found.slice(before));
  }

  mend(kind: MendedKind, count = 1): void {
    if (count > 0) this.#mended.set(kind, (this.#mended.get(kind) ?? 0) + count);
  }

  /** Without `family` it concerns the whole node. */
  fail(error: FlannelError, family?: Family): void {
    this.#errors.push(error);
    if (family === undefined) this.#failed = undefined;
    else this.#failed?.add(family);
  }

  /** Runs a step; what the kernel answers to its reads is noted as an error, e.g. that a link has just gone. */
  guard(step: () => void): void {
    try {
      step();
    } catch (error) {
      if (!(error instanceof FlannelError) || error.actor !== 'kernel') throw error;
      this.fail(error);
    }
  }

  /** Changes that were written. */
  count(changes: number): void {
    this.#written += changes;
  }

  report(): PassReport {
    return {
      written: this.#written,
      found: this.#found,
      stale: this.#stale,
      foundCount: this.#foundCount,
      mended: this.#mended,
      errors: this.#errors,
      blocking: this.#families.some((family) => this.#failed?.has(family) === false)
        ? undefined
        : this.#errors[0],
    };
  }
}

/** What one operation mends; undefined where several together mend one thing. */
export function mendedBy(op: KernelOp): MendedKind | undefined {
  switch (op.op) {
    case 'put':
    case 'remove':
      return op.entry.type;
    case 'add-address':
    case 'delete-address':
      return 'address';
    case 'add-blackhole':
    case 'delete-blackhole':
      return 'blackhole';
    case 'set-tx-checksum':
      return 'link';
    case 'set-link':
    case 'create-vxlan':
    case 'delete-link':
    // The route that follows it is what is mended.
    case 'evict':
      return undefined;
  }
}

/** The family that an operation is about; undefined where it does not say. */
export function familyOf(op: KernelOp): Family | undefined {
  switch (op.op) {
    case 'create-vxlan':
      return op.link.local.family;
    case 'add-address':
    case 'delete-address':
      return op.cidr.family;
    case 'add-blackhole':
    case 'delete-blackhole':
      return op.dst.family;
    case 'evict':
      return op.route.dst?.family;
    case 'put':
    case 'remove':
      return entryFamily(op.entry);
    case 'set-link':
    case 'delete-link':
    case 'set-tx-checksum':
      return undefined;
  }
}

function entryFamily(entry: Entry): Family {
  switch (entry.type) {
    case 'neighbour':
      return entry.ip.family;
    case 'fdb':
    case 'route':
      return entry.dst.family;
  }
}
