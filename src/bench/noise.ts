/** What chance alone does to a ratio of medians. */
import type { Noise } from './report.js';
import { seededRandom } from './seeded.js';
import { median } from './stats.js';

const RESAMPLES = 10_000;
const SEED = 1;
/** What lies outside, on either side, of a 95 % interval. */
const TAIL = 0.025;

/**
 * The 95 % interval of `median(a) / median(b)` by bootstrap: both lists are drawn from again and again, with replacement. The same for the
 * same lists. `null` where there are fewer than two values, which say nothing about chance.
 */
export function ratioInterval(a: readonly number[], b: readonly number[]): Noise | null {
  if (a.length < 2 || b.length < 2) return null;
  const random = seededRandom(SEED);
  const draw = (from: readonly number[]) => from.map(() => from[Math.floor(random() * from.length)] as number);
  const ratios = Array.from({ length: RESAMPLES }, () => median(draw(a)) / median(draw(b))).sort((x, y) => x - y);
  return { low: ratios[Math.floor(TAIL * RESAMPLES)] as number, high: ratios[Math.ceil((1 - TAIL) * RESAMPLES) - 1] as number };
}

/** Whether chance alone may have made `ratio`, whichever of the two is above. */
export function withinNoise(ratio: number, { low, high }: Noise): boolean {
  const width = Math.max(high, 1 / low);
  return ratio <= width && ratio >= 1 / width;
}
