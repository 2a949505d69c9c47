import type { ProbeResult } from '../probe/exchange.ts';
import type { Check, Expectation } from './checks.ts';

/** A check with what came of it. */
export interface Verdict {
  readonly part: string;
  readonly title: string;
  readonly ok: boolean;
  /** One line for the table. */
  readonly evidence: string;
  /** Each question that was not answered as demanded. */
  readonly failures: readonly string[];
}

/** Compares the answers, in the order of the expectations, with what the check demands. */
export function judge(check: Check, results: readonly ProbeResult[]): Verdict {
  const failures = check.expectations.flatMap((expectation, at) => {
    const wrong = objection(expectation, results[at] ?? { ok: false, error: 'not asked' });
    return wrong === undefined ? [] : [`${question(expectation)}: ${wrong}`];
  });
  const total = check.expectations.length;
  const good = `${total - failures.length} of ${total}`;
  return {
    part: check.part,
    title: check.title,
    ok: failures.length === 0 && total > 0,
    evidence: `${good}: ${example(check, results)} (${check.meaning})`,
    failures,
  };
}

function question({ from, to, request }: Expectation): string {
  return `${from.name} → ${to} (${request.proto} ${request.host}:${request.port})`;
}

function objection(expectation: Expectation, result: ProbeResult): string | undefined {
  if (!result.ok) return result.error;
  const { answer, local } = result;
  if (answer.server !== expectation.server) return `${answer.server} answered, not ${expectation.server}`;
  if (answer.source !== expectation.seen)
    return `${answer.server} saw ${answer.source}, not ${expectation.seen}`;
  if (expectation.untranslated && local !== answer.source)
    return `${answer.server} saw ${answer.source}, but it was sent from ${local}`;
  const sent = expectation.request.bytes ?? 64;
  return answer.bytes === sent ? undefined : `${answer.bytes} of ${sent} bytes arrived`;
}

/** One answer in words: who saw which address. */
function example(check: Check, results: readonly ProbeResult[]): string {
  const at = results.findIndex((result) => result.ok);
  const [result, expectation] = [results[at], check.expectations[at]];
  if (result === undefined || !result.ok || expectation === undefined) return 'no answer at all';
  return `${result.answer.server} saw ${expectation.from.name} as ${result.answer.source}`;
}
