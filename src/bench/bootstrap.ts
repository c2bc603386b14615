/** How far a ratio of medians could be off by chance: percentile bootstrap. Pure, and the same for the same seed. */
import type { Noise } from './report.js';
import { seededRandom } from './seeded.js';

export interface BootstrapOptions {
  /** How often the measurements are drawn again. */
  readonly resamples?: number;
  readonly seed?: number;
}

/** Share of all resamples that lies inside of an interval. */
const CONFIDENCE = 0.95;

/** The 95 % interval of `median(b) / median(a)`. Both lists are non-empty and hold positive numbers. */
export function ratioInterval(a: readonly number[], b: readonly number[], options?: BootstrapOptions): Noise {
  return bootstrapInterval([a, b], ([before, after]) => (after as number) / (before as number), options);
}

/** The 95 % interval of what `statistic` makes of the medians of `lists`, each drawn again with replacement. */
export function bootstrapInterval(
  lists: readonly (readonly number[])[],
  statistic: (medians: readonly number[]) => number,
  { resamples = 10_000, seed = 1 }: BootstrapOptions = {},
): Noise {
  const random = seededRandom(seed);
  const drawn = lists.map((list) => new Float64Array(list.length));
  const values: number[] = [];
  for (let i = 0; i < resamples; i++) {
    for (const [which, list] of lists.entries()) {
      const target = drawn[which] as Float64Array;
      for (let at = 0; at < list.length; at++) target[at] = list[Math.floor(random() * list.length)] as number;
    }
    values.push(statistic(drawn.map(medianInPlace)));
  }
  values.sort((x, y) => x - y);
  const outside = Math.floor(((1 - CONFIDENCE) / 2) * resamples);
  return { low: values[outside] as number, high: values[resamples - 1 - outside] as number };
}

function medianInPlace(values: Float64Array): number {
  values.sort();
  const upper = values[values.length >> 1] as number;
  return values.length % 2 === 1 ? upper : ((values[(values.length >> 1) - 1] as number) + upper) / 2;
}
