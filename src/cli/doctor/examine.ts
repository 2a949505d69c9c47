import { cureOf, describe, FlannelError } from '#base/errors.ts';
import { TransportError } from '#clients/k8s/errors.ts';
import type { Facts } from './facts/facts.ts';
import { error, NotAsked, SEVERITIES, warning, type Check, type Finding, type Severity } from './finding.ts';

/** One check and what came of it. */
export interface Examined {
  readonly id: string;
  readonly title: string;
  readonly findings: readonly Finding[];
  /** Why it was not asked; it then has no findings. */
  readonly skipped?: string;
}

/** Hears which checks have not ended yet. */
export type OnProgress = (pending: readonly string[]) => void;

/** Runs all checks side by side: those that wait for answers wait together. The results are in the order of `checks`. */
export async function examine(
  checks: readonly Check[],
  facts: Facts,
  onProgress: OnProgress = () => {},
): Promise<Examined[]> {
  const pending = new Set(checks.map(({ id }) => id));
  onProgress([...pending]);
  const one = async (check: Check): Promise<Examined> => {
    const examined = await run(check, facts);
    pending.delete(check.id);
    onProgress([...pending]);
    return examined;
  };
  return Promise.all(checks.map(one));
}

async function run(check: Check, facts: Facts): Promise<Examined> {
  const { id, title } = check;
  try {
    return { id, title, findings: await check.run(facts) };
  } catch (failure) {
    if (failure instanceof NotAsked) return { id, title, findings: [], skipped: failure.message };
    if (facts.cluster.isFailure(failure) || failure instanceof TransportError)
      return { id, title, findings: [], skipped: `the API server does not tell: ${describe(failure)}` };
    return { id, title, findings: [failed(failure)] };
  }
}

/** One check that fails does not keep the others from being made. */
function failed(failure: unknown): Finding {
  const why = 'what it looks for is not known';
  if (failure instanceof FlannelError && failure.actor !== 'bug')
    return warning({
      what: `cannot be checked: ${describe(failure)}`,
      why,
      cure: cureOf(failure) ?? 'mend what is named',
    });
  const stack = failure instanceof Error ? (failure.stack ?? '') : '';
  return error({
    what: `the check itself fails: ${describe(failure)}`,
    why,
    cure: `report this fault of the program: ${stack}`,
  });
}

/** The worst of all; `ok` when there is nothing. */
export function worst(examined: readonly Examined[]): Severity {
  const all = examined.flatMap(({ findings }) =>
    findings.map(({ severity }) => SEVERITIES.indexOf(severity)),
  );
  return SEVERITIES[Math.max(0, ...all)] ?? 'ok';
}
