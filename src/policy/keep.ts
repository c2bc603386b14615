/** The rules for the `keep` option. */
import { HoldfastError } from '../errors.js';
import { assertKnown } from '../known-options.js';
import { inferMode, type MetricMode, rankByValue } from './best.js';
import { toSteps } from './checks.js';
import { type Duration, formatDuration, toMilliseconds } from './duration.js';
import type { PolicyEntry } from './entry.js';
import { askRule, type RetentionRule } from './retention.js';

/** Which metric a rule is about. */
export interface KeepBestOptions {
  /** Default: what decides which checkpoint is best in this directory. */
  readonly monitor?: string | undefined;
  /** Default: as the directory watches the metric, if that is the one that it watches; else as Keras infers it from the name. */
  readonly mode?: MetricMode | undefined;
}

/** Rules for the `keep` option; a checkpoint stays if any rule wants it. Numbers are counted for full and for weights-only checkpoints separately. */
export const keep = Object.freeze({
  /** The `count` newest by commit order. */
  last(count: number): RetentionRule {
    assertCount('keep.last', count);
    return { description: `keep.last(${count})`, keeps: (entries) => perContents(entries, (some) => some.slice(-count)) };
  },
  /** The `count` with the best values of a metric, the earlier among equals. Those without one, or one that is not finite, are none of them. */
  best(count: number, options: KeepBestOptions = {}): RetentionRule {
    assertCount('keep.best', count);
    const own = checkMonitor(options);
    const about = own === undefined ? '' : `, ${own.metric}${own.mode === undefined ? '' : ` ${own.mode}`}`;
    return {
      description: `keep.best(${count}${about})`,
      keeps: (entries, { monitor: watched }) => {
        const metric = own?.metric ?? watched.metric;
        // What was said of this very metric counts before what its name looks like: the worst would be kept, and the best would go.
        const mode = own?.mode ?? (metric === watched.metric ? watched.mode : inferMode(metric));
        return perContents(entries, (some) => rankByValue(some, { metric, mode }).slice(0, count));
      },
    };
  },
  /** For ever: of every `interval` steps the first checkpoint, at the multiple of it or behind it; of two of one step the later. */
  everySteps(interval: number): RetentionRule {
    assertCount('keep.everySteps', interval);
    return { description: `keep.everySteps(${interval})`, keeps: (entries) => perContents(entries, (some) => firstOfEach(some, interval)) };
  },
  /** For ever: the oldest checkpoint, and each one that is at least `interval` minutes younger than the one kept before it. */
  everyMinutes(interval: number): RetentionRule {
    if (!Number.isFinite(interval) || interval <= 0) throw refused('keep.everyMinutes needs a number of minutes above 0', interval);
    return {
      description: `keep.everyMinutes(${interval})`,
      keeps: (entries) => perContents(entries, (some) => spaced(some, interval * 60_000)),
    };
  },
  /** These steps; of several checkpoints of one step the latest. */
  steps(steps: Iterable<number>): RetentionRule {
    const wanted = new Set(toSteps('keep.steps', steps));
    return {
      description: `keep.steps(${[...wanted].join(', ')})`,
      keeps: (entries) => perContents(entries, (some) => [...latestOfEachStep(some).values()].filter(({ step }) => wanted.has(step))),
    };
  },
  /** Those that were committed within this time before now, or, if a clock has jumped, after it. */
  youngerThan(age: Duration): RetentionRule {
    const ms = toMilliseconds('keep.youngerThan', age);
    return {
      description: `keep.youngerThan(${formatDuration(age)})`,
      keeps: (entries, { now }) => entries.filter(({ time }) => now - time < ms),
    };
  },
  /**
   * Of what `rules` keep (default everything), the newest that fit into `bytes` together. What stays anyway (the newest, the newest full one, the
   * best, the tagged) is counted first, and stays also where it is larger than that.
   */
  maxBytes(bytes: number, rules: RetentionRule | readonly RetentionRule[] = keep.all()): RetentionRule {
    if (!Number.isSafeInteger(bytes) || bytes < 0) throw refused('keep.maxBytes needs a whole number of bytes', bytes);
    const within = checkRules('keep.maxBytes', rules);
    const inner = within.map(({ description }) => description).join(', ');
    return {
      description: inner === 'keep.all()' ? `keep.maxBytes(${bytes})` : `keep.maxBytes(${bytes}, ${inner})`,
      keeps: (entries, context) => {
        const wanted = new Set(within.flatMap((rule) => askRule(rule, entries, context)));
        return newestWithin(entries, wanted, context.staying, bytes);
      },
    };
  },
  /** Everything. */
  all(): RetentionRule {
    return { description: 'keep.all()', keeps: (entries) => entries };
  },
});

/** Rules as a list. Throws `ERR_INVALID_ARGUMENT` unless they are. */
export function checkRules(where: string, value: unknown): readonly RetentionRule[] {
  // A copy: what its owner puts into the list later was not checked.
  const rules = Array.isArray(value) ? [...(value as readonly RetentionRule[])] : [value as RetentionRule];
  if (rules.length > 0 && rules.every((rule) => typeof rule?.keeps === 'function')) return rules;
  throw new HoldfastError('ERR_INVALID_ARGUMENT', `${where} must be a rule such as keep.last(5), or a list of rules.`);
}

function perContents(
  entries: readonly PolicyEntry[],
  choose: (some: readonly PolicyEntry[]) => readonly PolicyEntry[],
): readonly PolicyEntry[] {
  return (['full', 'weights'] as const).flatMap((contents) => choose(entries.filter((entry) => entry.contents === contents)));
}

/** Later ones take the place of earlier ones: after a resume the same step may come again. */
function latestOfEachStep(entries: readonly PolicyEntry[]): Map<number, PolicyEntry> {
  return new Map(entries.map((entry) => [entry.step, entry]));
}

function firstOfEach(entries: readonly PolicyEntry[], interval: number): PolicyEntry[] {
  const first = new Map<number, PolicyEntry>();
  for (const entry of latestOfEachStep(entries).values()) {
    const multiple = Math.floor(entry.step / interval);
    // What comes before the first multiple was not saved on account of one.
    if (multiple === 0 && entry.step > 0) continue;
    const known = first.get(multiple);
    if (known === undefined || entry.step < known.step) first.set(multiple, entry);
  }
  return [...first.values()];
}

/** In commit order. Where the clock has gone back, the distance is not known: the checkpoint stays. */
function spaced(entries: readonly PolicyEntry[], ms: number): PolicyEntry[] {
  const chosen: PolicyEntry[] = [];
  for (const entry of entries) {
    const last = chosen.at(-1);
    if (last === undefined || entry.time - last.time >= ms || entry.time < last.time) chosen.push(entry);
  }
  return chosen;
}

function newestWithin(
  entries: readonly PolicyEntry[],
  wanted: ReadonlySet<PolicyEntry>,
  staying: ReadonlySet<PolicyEntry>,
  bytes: number,
): PolicyEntry[] {
  let left = bytes - [...staying].reduce((sum, entry) => sum + entry.bytes, 0);
  const chosen: PolicyEntry[] = [];
  for (const entry of entries.toReversed()) {
    if (!wanted.has(entry) || staying.has(entry)) continue;
    left -= entry.bytes;
    // Not a smaller, older one in its place: what is kept has no holes.
    if (left < 0) break;
    chosen.push(entry);
  }
  return chosen;
}

function checkMonitor(options: KeepBestOptions) {
  assertKnown('keep.best', options, ['monitor', 'mode']);
  const { monitor, mode } = options;
  if (mode !== undefined && mode !== 'min' && mode !== 'max') throw refused('the mode of keep.best must be "min" or "max"', mode);
  if (monitor === undefined && mode === undefined) return undefined;
  if (typeof monitor !== 'string' || monitor === '') throw refused('keep.best needs the name of a metric as its monitor', monitor);
  return { metric: monitor, mode };
}

function assertCount(rule: string, count: number): void {
  if (Number.isSafeInteger(count) && count >= 1) return;
  const all = rule === 'keep.last' ? ' To keep everything, use keep.all().' : '';
  throw new HoldfastError('ERR_INVALID_ARGUMENT', `${rule} needs a whole number of at least 1, not ${String(count)}.${all}`);
}

function refused(what: string, value: unknown): HoldfastError {
  return new HoldfastError('ERR_INVALID_ARGUMENT', `${what}, not ${String(value)}.`);
}
