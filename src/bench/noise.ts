/** What chance alone does to a ratio of medians. */
import { bootstrapInterval } from './bootstrap.js';
import type { Noise } from './report.js';

/**
 * The 95 % interval of `median(first) / median(second)`, which measured the same thing. `null` where either has fewer than two values: one says
 * nothing about chance.
 */
export function noiseBetween(first: readonly number[], second: readonly number[]): Noise | null {
  if (first.length < 2 || second.length < 2) return null;
  return bootstrapInterval([first, second], ([a, b]) => (a as number) / (b as number));
}

/** Whether chance alone may have made `ratio`, whichever of the two is above. */
export function withinNoise(ratio: number, { low, high }: Noise): boolean {
  const width = Math.max(high, 1 / low);
  return ratio <= width && ratio >= 1 / width;
}
