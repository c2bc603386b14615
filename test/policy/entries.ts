/** Checkpoints and rules to decide over. */
import fc from 'fast-check';
import { findBest, type Monitor } from '../../src/policy/best.js';
import type { PolicyEntry } from '../../src/policy/entry.js';
import { keep } from '../../src/policy/keep.js';
import { decideRetention, type RetentionDecision, type RetentionRule } from '../../src/policy/retention.js';

export const MINUTE = 60_000;
/** An hour after the checkpoints of these tests begin. */
export const NOW = Date.UTC(2025, 0, 1, 1);
const BEGINNING = NOW - 60 * MINUTE;

/** What of a checkpoint a test cares for. */
export interface Sketch {
  /** Default: as the sequence. */
  readonly step?: number;
  /** Default: as the sequence, so that the first is the best. */
  readonly loss?: number | undefined;
  readonly acc?: number;
  /** Since the beginning. Default: as the sequence. */
  readonly minute?: number;
  /** Default 10. */
  readonly bytes?: number;
  readonly contents?: 'full' | 'weights';
  readonly tags?: readonly string[];
}

/** Checkpoints of the sequences 1, 2, 3, … */
export function checkpoints(sketches: readonly Sketch[]): PolicyEntry[] {
  return sketches.map((sketch, i) => {
    const sequence = i + 1;
    const { step = sequence, acc, minute = sequence, bytes = 10, contents = 'full', tags = [] } = sketch;
    const loss = 'loss' in sketch ? sketch.loss : sequence;
    const metrics = { ...(loss === undefined ? {} : { loss }), ...(acc === undefined ? {} : { acc }) };
    return { name: `c${sequence}`, sequence, step, epoch: undefined, time: BEGINNING + minute * MINUTE, metrics, bytes, contents, tags };
  });
}

export const sequences = (entries: readonly PolicyEntry[]) => entries.map(({ sequence }) => sequence);

const LOSS: Monitor = { metric: 'loss', mode: 'min' };

export const bestOf = (entries: readonly PolicyEntry[], monitor: Monitor) => findBest(entries, monitor);

/** Decides with the least loss as the best. */
export function decide(entries: readonly PolicyEntry[], rules: readonly RetentionRule[], now = NOW): RetentionDecision {
  return decideRetention(entries, rules, { best: bestOf(entries, LOSS), monitor: LOSS, now });
}

/** The sequences that are kept; `best` as {@link decide} finds it, or what is given. */
export function keptBy(rules: readonly RetentionRule[], entries: readonly PolicyEntry[], ...best: [] | [undefined]): number[] {
  const facts = { best: best.length === 0 ? bestOf(entries, LOSS) : undefined, monitor: LOSS, now: NOW };
  return sequences(decideRetention(entries, rules, facts).kept);
}

/** The sequences that `rule` itself wants: what stays anyway is not counted unless it wants it as well. */
export function wantedBy(rule: RetentionRule, entries: readonly PolicyEntry[], monitor: Monitor = LOSS): number[] {
  const { kept, reasons } = decideRetention(entries, [rule], { best: bestOf(entries, monitor), monitor, now: NOW });
  return sequences(kept.filter((entry) => reasons.get(entry)?.includes(rule.description)));
}

/** Steps that come again, clocks that jump, values that are none. */
export const anyEntries: fc.Arbitrary<PolicyEntry[]> = fc
  .array(
    fc.record({
      step: fc.nat(30),
      loss: fc.oneof({ weight: 6, arbitrary: fc.nat(9) }, { weight: 1, arbitrary: fc.constantFrom(undefined, Number.NaN, Infinity, -0) }),
      minutes: fc.oneof({ weight: 4, arbitrary: fc.nat(10) }, { weight: 1, arbitrary: fc.integer({ min: -30, max: 30 }) }),
      bytes: fc.nat(20),
      contents: fc.constantFrom('full' as const, 'full' as const, 'weights' as const),
      tagged: fc.nat(9),
    }),
    { maxLength: 40, size: 'max' },
  )
  .map((sketches) => {
    let minute = 0;
    return checkpoints(
      sketches.map(({ minutes, tagged, ...rest }) => {
        minute += minutes;
        return { ...rest, minute, tags: tagged === 0 ? ['tag'] : [] };
      }),
    );
  });

const count = fc.integer({ min: 1, max: 6 });
const bounded: fc.Arbitrary<RetentionRule> = fc.oneof(
  count.map((n) => keep.last(n)),
  count.map((n) => keep.best(n)),
  count.map((n) => keep.everySteps(n)),
  fc.array(fc.nat(30), { minLength: 1, maxLength: 5 }).map((steps) => keep.steps(steps)),
);
const everyMinutes = fc.integer({ min: 1, max: 20 }).map((minutes) => keep.everyMinutes(minutes));
/** The newest, up to a size. */
const newestWithin = fc
  .tuple(fc.nat(200), fc.option(count))
  .map(([bytes, n]) => (n === null ? keep.maxBytes(bytes) : keep.maxBytes(bytes, keep.last(n))));
const within = fc
  .tuple(fc.nat(200), fc.array(bounded, { minLength: 1, maxLength: 2 }))
  .map(([bytes, rules]) => keep.maxBytes(bytes, rules));

/**
 * Rules that want the same of what they have left as they wanted of all. Of those inside of `keep.maxBytes` that is only so as long as nothing else is
 * kept, and never of `keep.everyMinutes`: where one that it wanted has gone for want of room, it counts from another.
 */
export const lastingRules: fc.Arbitrary<RetentionRule[]> = fc.oneof(
  { weight: 5, arbitrary: fc.array(fc.oneof(bounded, bounded, everyMinutes, newestWithin), { minLength: 1, maxLength: 3 }) },
  { weight: 1, arbitrary: within.map((rule) => [rule]) },
);

export const anyRule: fc.Arbitrary<RetentionRule> = fc.oneof(
  { weight: 4, arbitrary: bounded },
  { weight: 1, arbitrary: everyMinutes },
  { weight: 1, arbitrary: newestWithin },
  { weight: 1, arbitrary: within },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 60 }).map((minutes) => keep.youngerThan({ minutes })) },
  { weight: 1, arbitrary: fc.constant(keep.all()) },
);
