import { systemClock } from '#base/clock.ts';
import { FlannelError } from '#base/errors.ts';
import { drawRound, placeOf, type DrawnFault } from './catalogue.ts';
import type { Checker, Problem } from './check.ts';
import type { Cluster } from './cluster.ts';
import type { FaultKind } from './fault.ts';
import type { Blame, Ledger } from './ledger.ts';
import { epoch } from './prober/protocol.ts';
import type { Random } from './random.ts';

/** After everything is as planned packets may still be on their way, ms. */
const GRACE = 300;
/** A question may have been on its way when the fault came, ms. */
const LEAD = 100;
/** The bounds are for a machine that has time: its own stalls count this many times. */
const STALL_FACTOR = 10;

/** A round that is over. */
export interface RoundRecord {
  readonly number: number;
  readonly faults: readonly DrawnFault[];
  /** ms since the epoch. */
  readonly begin: number;
  readonly end: number;
  /** From the end of the faults until everything was as planned, ms. */
  readonly repair: number;
}

/** The soak has found something. */
export class SoakFailure extends FlannelError {
  override readonly name = 'SoakFailure';
  /** More lines for the report. */
  readonly details: readonly string[];
  /** Nodes whose logs tell more. */
  readonly nodes: readonly string[];

  constructor(
    message: string,
    more: { readonly details?: readonly string[]; readonly nodes: readonly string[] },
  ) {
    super('bug', message);
    this.details = more.details ?? [];
    this.nodes = more.nodes;
  }
}

export interface RoundParts {
  readonly cluster: Cluster;
  readonly checker: Checker;
  readonly ledger: Ledger;
  readonly random: Random;
  readonly kinds: readonly FaultKind[];
  /** The longest stall of the machine since the last call, ms. */
  readonly takeStall: () => number;
}

/** One fault after the other, each healed before the next one comes. */
export class Rounds {
  readonly #parts: RoundParts;
  readonly #done: RoundRecord[] = [];
  #blamed = 0;

  constructor(parts: RoundParts) {
    this.#parts = parts;
  }

  get done(): readonly RoundRecord[] {
    return this.#done;
  }

  /** Throws SoakFailure when something does not heal in time, or packets are lost that need not be. */
  async once(): Promise<RoundRecord> {
    const { cluster, checker, ledger, random, kinds, takeStall } = this.#parts;
    const faults = drawRound({ cluster, random, kinds, settled: (bound) => this.#settled(bound) });
    const pause = random.between(200, 1000);
    takeStall();
    const begin = epoch();
    const close = ledger.excuse(
      faults.flatMap(({ kind, attempt }) => attempt.hurts.map((scope) => ({ kind: kind.name, scope }))),
      begin - LEAD,
    );
    await this.#run(faults);
    const over = performance.now();
    const bound = Math.max(...faults.map(({ attempt }) => attempt.bound), 0);
    let problems = await checker.converge(over + bound);
    if (problems.length > 0) problems = await checker.converge(over + bound + STALL_FACTOR * takeStall());
    const repair = performance.now() - over;
    if (problems.length > 0) throw notHealed(faults, problems, repair);
    const grace = Math.max(...faults.map(({ attempt }) => attempt.grace ?? GRACE), GRACE);
    const end = epoch() + grace;
    close(end);
    const record = { number: this.#done.length + 1, faults, begin, end, repair };
    this.#done.push(record);
    await systemClock.sleep(grace + pause);
    this.judge();
    return record;
  }

  /** Throws SoakFailure when the prober has reported a loss that nothing excuses. */
  judge(): void {
    const { blames } = this.#parts.ledger;
    const fresh = blames.slice(this.#blamed);
    this.#blamed = blames.length;
    const [first] = fresh;
    if (first !== undefined) throw this.#lost(first, fresh);
  }

  /** In the middle of a fault. */
  async #settled(bound: number): Promise<void> {
    const { checker, takeStall } = this.#parts;
    const start = performance.now();
    let problems = await checker.converge(start + bound);
    if (problems.length > 0) problems = await checker.converge(start + bound + STALL_FACTOR * takeStall());
    if (problems.length > 0) throw notPlanned('in the middle', problems);
  }

  async #run(faults: readonly DrawnFault[]): Promise<void> {
    const outcomes = await Promise.allSettled(faults.map(({ attempt }) => attempt.run()));
    for (const [at, outcome] of outcomes.entries()) {
      const fault = faults[at];
      if (outcome.status === 'fulfilled' || fault === undefined) continue;
      const reason: unknown = outcome.reason;
      const { details, nodes } = reason instanceof SoakFailure ? reason : { details: [], nodes: [] };
      throw new SoakFailure(
        `${wordsOf([fault])}: ${reason instanceof Error ? reason.message : String(reason)}`,
        { details, nodes: [...new Set([fault.node.name, ...nodes])] },
      );
    }
  }

  #lost(first: Blame, all: readonly Blame[]): SoakFailure {
    const near = this.#done.filter(({ begin, end }) => begin - LEAD <= first.at && first.at <= end + 2000);
    const during =
      near.length === 0 ? 'while nothing was broken' : near.map(({ faults }) => wordsOf(faults)).join(' | ');
    const begin = near[0]?.begin ?? first.at;
    return new SoakFailure(`packets lost that need not be: ${during}`, {
      details: all.slice(0, 20).map(({ pair, at, count, ms }) => {
        const after = Math.round(at - begin);
        return `${pair}: ${count} from ${after} ms after the beginning of the round, over ${Math.round(ms)} ms`;
      }),
      nodes: [
        ...new Set([...near.flatMap(({ faults }) => faults.map(({ node }) => node.name)), ...endsOf(first)]),
      ],
    });
  }
}

/** A pair's id is `n1-p1 > n2-p2 ipv4`. */
function endsOf({ pair }: Blame): string[] {
  return [...pair.matchAll(/\b(n\d+)-p\d+/g)].flatMap((match) => match[1] ?? []);
}

/** Faults in words, with their places. */
export function wordsOf(faults: readonly DrawnFault[]): string {
  return faults.map((fault) => `${fault.kind.name} on ${placeOf(fault)} (${fault.attempt.what})`).join(' + ');
}

function notHealed(faults: readonly DrawnFault[], problems: readonly Problem[], ms: number): SoakFailure {
  const { message, details, nodes } = notPlanned(`${Math.round(ms)} ms after ${wordsOf(faults)}`, problems);
  return new SoakFailure(message, {
    details,
    nodes: [...new Set([...nodes, ...faults.map(({ node }) => node.name)])],
  });
}

function notPlanned(when: string, problems: readonly Problem[]): SoakFailure {
  return new SoakFailure(`not as planned ${when}`, {
    details: problems.slice(0, 20).map(({ node, text }) => `${node}: ${text}`),
    nodes: [...new Set(problems.map(({ node }) => node))],
  });
}
