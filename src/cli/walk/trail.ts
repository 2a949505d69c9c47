/** One place that a packet comes by. */
export interface Step {
  /** Where: `node flannel.1`, `pod 10.244.1.2 eth0`. */
  readonly where: string;
  /** What happens there, and why. */
  readonly what: string;
  /** Rules that it meets there, in order, and what else is worth knowing. */
  readonly notes: readonly string[];
}

/** How a walk ends. */
export interface End {
  /** `leaves`: this node has done its part; the rest is to be seen elsewhere. */
  readonly outcome: 'arrives' | 'leaves' | 'dies';
  readonly why: string;
  /** What helps, or where to look on. */
  readonly cure?: string;
}

export interface Walked {
  readonly steps: readonly Step[];
  readonly end: End;
}

/** Takes the steps down. */
export class Trail {
  readonly steps: Step[] = [];

  step(where: string, what: string, notes: readonly string[] = []): void {
    this.steps.push({ where, what, notes });
  }
}

export function dies(why: string, cure?: string): End {
  return { outcome: 'dies', why, ...(cure === undefined ? {} : { cure }) };
}
