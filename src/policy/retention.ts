/** Which checkpoints may go: pure functions over what the manifests say. */
import { HoldfastError } from '../errors.js';
import type { Monitor } from './best.js';
import type { PolicyEntry } from './entry.js';

/** What a rule may want to know beside the entries. */
export interface RetentionContext {
  /** Milliseconds since 1970. */
  readonly now: number;
  /** What decides which checkpoint is best. */
  readonly monitor: Monitor;
  /** Those that stay whatever the rules say: the newest, the newest full one, the best, the tagged. */
  readonly staying: ReadonlySet<PolicyEntry>;
}

/** A reason to keep checkpoints. */
export interface RetentionRule {
  /** For messages, such as `keep.last(5)`. */
  readonly description: string;
  /** Those of `entries` (good ones, oldest first) that this rule wants kept. */
  keeps(entries: readonly PolicyEntry[], context: RetentionContext): readonly PolicyEntry[];
}

/** Which way retention decided. */
export interface RetentionDecision {
  readonly kept: readonly PolicyEntry[];
  readonly removed: readonly PolicyEntry[];
  /** Why each of `kept` stays: `newest`, `newest full`, `best`, `tag NAME`, or the description of a rule. */
  readonly reasons: ReadonlyMap<PolicyEntry, readonly string[]>;
}

/** What a decision needs to know. */
export interface RetentionFacts {
  readonly best: PolicyEntry | undefined;
  readonly monitor: Monitor;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/**
 * Decides over the good checkpoints. Whatever the rules say, the newest one stays, the newest full one, the best, and those with a tag.
 * Damaged checkpoints must not be among `entries`: they fill no quota and are never removed.
 */
export function decideRetention(
  entries: readonly PolicyEntry[],
  rules: readonly RetentionRule[],
  { best, monitor, now }: RetentionFacts,
): RetentionDecision {
  const sorted = Object.freeze([...entries].sort((a, b) => a.sequence - b.sequence));
  const reasons = new Map<PolicyEntry, string[]>();
  const stay = (entry: PolicyEntry | undefined, reason: string) => {
    if (entry === undefined) return;
    const known = reasons.get(entry);
    if (known === undefined) reasons.set(entry, [reason]);
    else if (!known.includes(reason)) known.push(reason);
  };
  stay(sorted.at(-1), 'newest');
  stay(
    sorted.findLast(({ contents }) => contents === 'full'),
    'newest full',
  );
  stay(best, 'best');
  for (const entry of sorted) for (const tag of entry.tags ?? []) stay(entry, `tag ${tag}`);
  const staying = [...reasons.keys()];
  for (const rule of rules) {
    // A set of its own for each: what a caller's rule does to it must not reach the others.
    const context: RetentionContext = { now, monitor, staying: new Set(staying) };
    for (const entry of askRule(rule, sorted, context)) stay(entry, rule.description);
  }
  return {
    kept: sorted.filter((entry) => reasons.has(entry)),
    removed: sorted.filter((entry) => !reasons.has(entry)),
    reasons,
  };
}

/** A directory, and what is best in it. */
export interface RetentionView extends RetentionFacts {
  readonly entries: readonly PolicyEntry[];
}

/**
 * What may go before a checkpoint is written, to make room for it: that which the rules will let go when it is there (`then`), but for what must
 * stay while it is not (`now`).
 */
export function decideRoom(now: RetentionView, then: RetentionView, rules: readonly RetentionRule[]): readonly PolicyEntry[] {
  const { removed } = decideRetention(then.entries, rules, then);
  const staying = new Set(decideRetention(now.entries, [], now).kept.map(({ sequence }) => sequence));
  return removed.filter(({ sequence }) => !staying.has(sequence));
}

/**
 * What a rule wants kept. Rules may be the caller's own: one that does not answer properly must not cost a checkpoint. Throws
 * `ERR_INVALID_ARGUMENT` then.
 */
export function askRule(rule: RetentionRule, entries: readonly PolicyEntry[], context: RetentionContext): readonly PolicyEntry[] {
  const wanted: unknown = rule.keeps(entries, context);
  const known = new Set<unknown>(entries);
  if (Array.isArray(wanted) && wanted.every((entry) => known.has(entry))) return wanted;
  throw new HoldfastError(
    'ERR_INVALID_ARGUMENT',
    `The retention rule ${rule.description} must return, synchronously, an array of some of the entries that it was given. Nothing was removed.`,
  );
}
