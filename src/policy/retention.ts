/** Which checkpoints may go: pure functions over what the manifests say. */
import { HoldfastError } from '../errors.js';
import type { PolicyEntry } from './entry.js';

/** A reason to keep checkpoints. */
export interface RetentionRule {
  /** For messages, such as `keep.last(5)`. */
  readonly description: string;
  /** Those of `entries` (good ones, oldest first) that this rule wants kept. */
  keeps(entries: readonly PolicyEntry[]): readonly PolicyEntry[];
}

/** Rules for the `keep` option; a checkpoint stays if any rule wants it. */
export const keep = Object.freeze({
  /** The `count` newest by commit order, counting full and weights-only checkpoints separately. */
  last(count: number): RetentionRule {
    if (!Number.isSafeInteger(count) || count < 1) {
      throw new HoldfastError(
        'ERR_INVALID_ARGUMENT',
        `keep.last needs a whole number of at least 1, not ${String(count)}. To keep everything, use keep.all().`,
      );
    }
    return {
      description: `keep.last(${count})`,
      keeps: (entries) =>
        (['full', 'weights'] as const).flatMap((contents) => entries.filter((entry) => entry.contents === contents).slice(-count)),
    };
  },
  /** Everything. */
  all(): RetentionRule {
    return { description: 'keep.all()', keeps: (entries) => entries };
  },
});

/** Which way retention decided. */
export interface RetentionDecision {
  readonly kept: readonly PolicyEntry[];
  readonly removed: readonly PolicyEntry[];
}

/**
 * Decides over the good checkpoints. Whatever the rules say, the newest one stays, the newest full one, and `best`.
 * Damaged checkpoints must not be among `entries`: they fill no quota and are never removed.
 */
export function decideRetention(
  entries: readonly PolicyEntry[],
  rules: readonly RetentionRule[],
  best: PolicyEntry | undefined,
): RetentionDecision {
  const sorted = Object.freeze([...entries].sort((a, b) => a.sequence - b.sequence));
  const newest = sorted.at(-1);
  const newestFull = sorted.findLast(({ contents }) => contents === 'full');
  const wanted = new Set<PolicyEntry>(rules.flatMap((rule) => askRule(rule, sorted)));
  for (const entry of [newest, newestFull, best]) if (entry !== undefined) wanted.add(entry);
  return { kept: sorted.filter((entry) => wanted.has(entry)), removed: sorted.filter((entry) => !wanted.has(entry)) };
}

/** What a rule wants kept. Rules may be the caller's own: one that does not answer properly must not cost a checkpoint. */
function askRule(rule: RetentionRule, entries: readonly PolicyEntry[]): readonly PolicyEntry[] {
  const wanted: unknown = rule.keeps(entries);
  if (Array.isArray(wanted) && wanted.every((entry) => entries.includes(entry))) return wanted;
  throw new HoldfastError(
    'ERR_INVALID_ARGUMENT',
    `The retention rule ${rule.description} must return, synchronously, an array of some of the entries that it was given. Nothing was removed.`,
  );
}
