import { FlannelError } from '#base/errors.ts';
import type { Facts } from './facts/facts.ts';

/** From harmless to worst: `warning`, something is or will be degraded; `error`, pods have no network, wholly or in part. */
export const SEVERITIES = ['ok', 'info', 'warning', 'error'] as const;
export type Severity = (typeof SEVERITIES)[number];

/** Something that is wrong, or may go wrong. */
export interface Trouble {
  /** What was found, with the culprit's name. */
  readonly what: string;
  /** What comes of it. */
  readonly why: string;
  /** The command that mends it, or what to do where no command does. */
  readonly cure: string;
}

/** What a check has found. */
export type Finding =
  | { readonly severity: 'ok'; readonly what: string }
  | ({ readonly severity: Exclude<Severity, 'ok'> } & Trouble);

/** All is well; `what` is the evidence. */
export function ok(what: string): Finding {
  return { severity: 'ok', what };
}

export function info(trouble: Trouble): Finding {
  return { severity: 'info', ...trouble };
}

export function warning(trouble: Trouble): Finding {
  return { severity: 'warning', ...trouble };
}

export function error(trouble: Trouble): Finding {
  return { severity: 'error', ...trouble };
}

/** One question. It reads and sends probes, and changes nothing on this machine. */
export interface Check {
  /** Stable: for `--only`, for scripts, and a heading of docs/doctor.md. */
  readonly id: string;
  /** What is looked at, in a few words. */
  readonly title: string;
  /** Throws NotAsked where the question makes no sense. */
  run(facts: Facts): readonly Finding[] | Promise<readonly Finding[]>;
}

/** The question makes no sense here; the message says why. */
export class NotAsked extends FlannelError {
  override readonly name = 'NotAsked';

  constructor(why: string) {
    super('operator', why);
  }
}

/** The findings, or that all is well when there are none. */
export function orOk(findings: readonly Finding[], evidence: string): readonly Finding[] {
  return findings.length === 0 ? [ok(evidence)] : findings;
}

/** `a, b, c and 4 more`. */
export function few(items: readonly string[], most = 5): string {
  const shown = items.slice(0, most).join(', ');
  return items.length <= most ? shown : `${shown} and ${items.length - most} more`;
}
