/** What a stream of numbered packets tells. */
export interface Outage {
  /** Packets up to the last answered one. */
  readonly sent: number;
  readonly lost: number;
  /** From the answer before the longest gap to the answer behind it, ms; 0 without a loss. */
  readonly gapMs: number;
}

/** One answer: the packet's number, and when it came (ms). */
export interface Reply {
  readonly number: number;
  readonly at: number;
}

/** Lines `<number> <ms>` as the stream prints them; a last line without its end is left out. */
export function parseReplies(output: string): Reply[] {
  return output
    .slice(0, output.lastIndexOf('\n') + 1)
    .split('\n')
    .flatMap((line) => {
      const match = /^(\d+) (\d+(?:\.\d+)?)$/.exec(line);
      return match === null ? [] : [{ number: Number(match[1]), at: Number(match[2]) }];
    });
}

/** Counts what is missing between the first and the last answer. Answers may come out of order. */
export function outageOf(replies: readonly Reply[]): Outage {
  const ordered = replies.toSorted((a, b) => a.number - b.number);
  const [first, last] = [ordered[0], ordered.at(-1)];
  if (first === undefined || last === undefined) return { sent: 0, lost: 0, gapMs: 0 };
  let [lost, gapMs] = [0, 0];
  for (const [at, reply] of ordered.entries()) {
    const before = ordered[at - 1];
    if (before === undefined || reply.number <= before.number + 1) continue;
    lost += reply.number - before.number - 1;
    gapMs = Math.max(gapMs, reply.at - before.at);
  }
  return { sent: last.number - first.number + 1, lost, gapMs };
}
