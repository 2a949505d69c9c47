import { FlannelError } from '#base/errors.ts';
import { enterArgv, type Place } from '../process/places.ts';
import { innerArgv, run } from '../process/run.ts';
import type { ProbeRequest, ProbeResult } from './exchange.ts';

/** Probe processes at a time: each takes a processor for some 20 ms. */
const PARALLEL = 8;

/** One question and the place it is asked from. */
export interface Question {
  readonly from: Place;
  readonly request: ProbeRequest;
}

/** Asks all questions with real packets, one process per place; the results are in the order of the questions. */
export async function askAll(
  questions: readonly Question[],
  env: Readonly<Record<string, string>>,
): Promise<ProbeResult[]> {
  const byPlace = Map.groupBy(questions.keys(), (at) => questions[at]?.from.name ?? '');
  const results: ProbeResult[] = [];
  const waiting = [...byPlace.values()];
  const worker = async () => {
    for (let indices = waiting.shift(); indices !== undefined; indices = waiting.shift()) {
      const asked = indices.flatMap((at) => questions[at] ?? []);
      const answers = await askFrom(asked, env);
      for (const [position, at] of indices.entries())
        results[at] = answers[position] ?? { ok: false, error: 'no result' };
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
  return results;
}

async function askFrom(
  questions: readonly Question[],
  env: Readonly<Record<string, string>>,
): Promise<ProbeResult[]> {
  const place = questions[0]?.from;
  if (place === undefined) return [];
  const requests = JSON.stringify(questions.map(({ request }) => request));
  const { code, stdout, stderr } = await run(enterArgv(place, innerArgv('__probe', requests)), { env });
  if (code === 0) {
    const parsed: unknown = JSON.parse(stdout);
    if (Array.isArray(parsed)) return parsed as ProbeResult[];
    throw new FlannelError('bug', '__probe did not print a list');
  }
  const error = `no probe can run on ${place.name}: ${stderr.trim().slice(-200)}`;
  return questions.map(() => ({ ok: false, error }));
}
