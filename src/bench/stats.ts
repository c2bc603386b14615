/** Medians and what surrounds them. */

/** Of a list of measurements. */
export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** The middle value of a non-empty list. */
export function median(values: readonly number[]): number {
  const sorted = ascending(values);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] as number;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2;
}

/** Of a non-empty list. */
export function summary(values: readonly number[]): Summary {
  const sorted = ascending(values);
  return { median: median(values), min: sorted[0] as number, max: sorted.at(-1) as number };
}

/** The smallest value that at least `share` (0 to 1) of a non-empty list do not exceed: of fewer than 100 values, the 99th percentile is the largest. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = ascending(values);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] as number;
}

function ascending(values: readonly number[]): number[] {
  return [...values].sort((a, b) => a - b);
}
