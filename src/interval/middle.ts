/** The middle of measurements, of which some are far off. */

/** The median of a non-empty list. */
export function middle(values: Iterable<number>): number {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[sorted.length >> 1] as number;
  return sorted.length % 2 === 1 ? upper : ((sorted[(sorted.length >> 1) - 1] as number) + upper) / 2;
}

/** The mean without the largest and the smallest, where there are at least five: what one hiccup of the disk does not move. */
export function middleMean(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const rest = sorted.length >= 5 ? sorted.slice(1, -1) : sorted;
  return rest.reduce((sum, value) => sum + value, 0) / rest.length;
}
