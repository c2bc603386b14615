/** How many rows of a table are shown. */
import { InvalidArgumentError } from 'commander';

export const DEFAULT_LIMIT = 50;

/** A whole number, or `all`. */
export function parseLimit(text: string): number {
  if (text === 'all') return Number.POSITIVE_INFINITY;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Give a whole number, or "all".');
}
