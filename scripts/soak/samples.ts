/** What one agent held at one moment. */
export interface Sample {
  /** s since the beginning of the soak. */
  readonly at: number;
  readonly pid: number;
  /** Bytes. */
  readonly rss: number;
  readonly anonymous: number;
  readonly descriptors: number;
  readonly connections: number;
  /** Taken when everything was as planned and nothing was under way. */
  readonly quiet: boolean;
}

/** How the holdings of one process went from the end of its warm-up to its end. */
export interface Trend {
  /** s that the process was watched after its warm-up. */
  readonly seconds: number;
  /** Medians of the first and the last third of that time: anonymous memory, bytes. */
  readonly first: number;
  readonly last: number;
  /** Descriptors: medians of the quiet samples in the same thirds. */
  readonly firstDescriptors: number;
  readonly lastDescriptors: number;
  /** The most TCP connections at a quiet moment. */
  readonly connections: number;
  /** Anonymous memory, bytes per minute by least squares. */
  readonly slope: number;
}

/** An agent that has just started grows: caches fill, the engine's heap finds its size. */
const WARM_UP = 30;

/**
 * The trend of the process that lived longest. `soak` is the length of the whole, s: a quarter of it, at most five minutes,
 * is warm-up. Undefined when too little is left to say anything.
 */
export function trendOf(samples: readonly Sample[], soak: number): Trend | undefined {
  const longest = longestLife(samples);
  const begin = (longest[0]?.at ?? 0) + Math.max(WARM_UP, Math.min(300, soak / 4));
  const warm = longest.filter(({ at }) => at >= begin);
  const [first, last] = [warm[0], warm.at(-1)];
  if (first === undefined || last === undefined || warm.length < 12) return undefined;
  const seconds = last.at - first.at;
  const early = warm.filter(({ at }) => at <= first.at + seconds / 3);
  const late = warm.filter(({ at }) => at >= last.at - seconds / 3);
  const descriptors = (of: readonly Sample[]) =>
    median(of.filter(({ quiet }) => quiet).map((sample) => sample.descriptors));
  return {
    seconds,
    first: median(early.map(({ anonymous }) => anonymous)),
    last: median(late.map(({ anonymous }) => anonymous)),
    firstDescriptors: descriptors(early),
    lastDescriptors: descriptors(late),
    connections: Math.max(0, ...warm.filter(({ quiet }) => quiet).map((sample) => sample.connections)),
    slope: slopeOf(warm) * 60,
  };
}

function longestLife(samples: readonly Sample[]): readonly Sample[] {
  const lives = [...Map.groupBy(samples, ({ pid }) => pid).values()];
  const length = (life: readonly Sample[]) => (life.at(-1)?.at ?? 0) - (life[0]?.at ?? 0);
  return lives.reduce<readonly Sample[]>((best, life) => (length(life) > length(best) ? life : best), []);
}

/** The middle value; of an even number the lower one of the two; NaN of nothing. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[(values.length - 1) >> 1] ?? Number.NaN;
}

function slopeOf(samples: readonly Sample[]): number {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [x, y] = [mean(samples.map(({ at }) => at)), mean(samples.map(({ anonymous }) => anonymous))];
  let [above, below] = [0, 0];
  for (const { at, anonymous } of samples) {
    above += (at - x) * (anonymous - y);
    below += (at - x) ** 2;
  }
  return below === 0 ? 0 : above / below;
}
