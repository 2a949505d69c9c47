/** A network namespace in which the prober has its sockets. */
export interface ProbePlace {
  readonly name: string;
  /** File of the namespace, e.g. `/proc/7/ns/net`. */
  readonly netns: string;
}

/** Packets that flow all the time, with an answer each. */
export interface ProbePair {
  /** Unique; names it in reports. */
  readonly id: string;
  readonly from: string;
  readonly to: string;
  /** Address of `to` that is asked. */
  readonly address: string;
  /** Each question from a new port: no connection tracking entry carries it past a missing rule. */
  readonly freshPort: boolean;
}

/** What the prober is told, a JSON line each time: everything that is to flow from now on. */
export interface ProbeSet {
  readonly places: readonly ProbePlace[];
  readonly pairs: readonly ProbePair[];
}

/** Questions without an answer, one after another. */
export interface LossRun {
  readonly pair: string;
  /** When the first and the last of them were sent, ms since the epoch. */
  readonly first: number;
  readonly last: number;
  readonly count: number;
}

/** What the prober tells, a JSON line several times a second. */
export interface ProbeReport {
  /** The fate of everything sent before this time is known; ms since the epoch. */
  readonly judged: number;
  readonly sent: number;
  readonly answered: number;
  /** The longest time that its own timer was late since the last report, ms: how busy the machine is. */
  readonly lag: number;
  readonly losses: readonly LossRun[];
}

/** ms since the epoch with a fraction: the two processes compare their times. */
export function epoch(): number {
  return performance.timeOrigin + performance.now();
}
