/** Which checkpoint is the best. */
import type { ManifestMonitor } from '../format/manifest.js';
import type { PolicyEntry } from './entry.js';

export type MetricMode = 'min' | 'max';

/** A metric to watch, and which way is better. */
export interface Monitor {
  readonly metric: string;
  readonly mode: MetricMode;
  /** By how much a value must be better than the best to take its place, in the metric's unit. Default 0. */
  readonly minDelta?: number;
  /** What the first best has to beat. Default: anything is better than nothing. */
  readonly threshold?: number;
}

/** What is asked of a checkpoint that may be the best. */
export type Candidate = Pick<PolicyEntry, 'metrics' | 'sequence' | 'monitor'>;

/** Parts of names whose metrics are better when larger, as Keras 2 infers them. */
const LARGER_IS_BETTER = ['acc', 'auc', 'fmeasure', 'precision', 'recall'];

/** `mode="auto"` of Keras 2, from the name alone: max for accuracies and their like, min for everything else. */
export function inferMode(metric: string): MetricMode {
  return LARGER_IS_BETTER.some((part) => metric.includes(part)) ? 'max' : 'min';
}

/**
 * What is watched where nobody said: the validation loss, or the loss where there is none. One that is not finite is none: with it no
 * checkpoint would be the best, and the one that was might go.
 */
export function defaultMonitor(entries: Iterable<Pick<PolicyEntry, 'metrics'>>): Monitor {
  for (const entry of entries) if (metricOf(entry, 'val_loss') !== undefined) return { metric: 'val_loss', mode: 'min' };
  return { metric: 'loss', mode: 'min' };
}

/** The value that decides; `undefined` where it is missing, NaN or infinite: such a one never wins, and never blocks the next. */
export function metricOf({ metrics }: Pick<PolicyEntry, 'metrics'>, metric: string): number | undefined {
  const value = Object.hasOwn(metrics, metric) ? metrics[metric] : undefined;
  return Number.isFinite(value) ? value : undefined;
}

/** Whether `value` takes the place of `best`, the value of the best so far. */
export function improves(value: number, best: number | undefined, { mode, minDelta = 0, threshold }: Monitor): boolean {
  const than = best ?? threshold;
  if (than === undefined) return true;
  return mode === 'min' ? value < than - minDelta : value > than + minDelta;
}

/**
 * The best entry; the earliest among equals. They are taken in commit order, each having to beat the best before it by more than `minDelta`.
 * One that did so when it was committed says so in its manifest, and need not again: those it was compared with may be gone, and with them
 * the reason why another one, only a little worse, was none.
 */
export function findBest<E extends Candidate>(entries: readonly E[], monitor: Monitor): E | undefined {
  let best: E | undefined;
  let bestValue: number | undefined;
  for (const entry of inCommitOrder(entries)) {
    const value = metricOf(entry, monitor.metric);
    if (value === undefined || !improves(value, bestValue, hasImproved(entry, monitor) ? { ...monitor, minDelta: 0 } : monitor)) continue;
    best = entry;
    bestValue = value;
  }
  return best;
}

/** All with a value: the best by {@link findBest} first, then by value, the earlier of equals before the later. */
export function rankByValue<E extends Candidate>(entries: readonly E[], monitor: Monitor): E[] {
  const best = findBest(entries, monitor);
  const sign = monitor.mode === 'min' ? 1 : -1;
  const rest = entries.flatMap((entry) => {
    const value = entry === best ? undefined : metricOf(entry, monitor.metric);
    return value === undefined ? [] : [{ entry, value }];
  });
  rest.sort((a, b) => sign * (a.value - b.value) || a.entry.sequence - b.entry.sequence);
  return [...(best === undefined ? [] : [best]), ...rest.map(({ entry }) => entry)];
}

/** What the manifest of a checkpoint says of what was watched when it was committed, beside `before`, which are in the directory. */
export function toManifestMonitor(
  monitor: Monitor,
  metrics: Readonly<Record<string, number>>,
  before: readonly Candidate[],
): ManifestMonitor {
  const best = findBest(before, monitor);
  const value = metricOf({ metrics }, monitor.metric);
  const improved = value !== undefined && improves(value, best && metricOf(best, monitor.metric), monitor);
  return { ...monitor, ...(improved ? { improved } : {}) };
}

function hasImproved({ monitor }: Candidate, { metric, mode }: Monitor): boolean {
  return monitor?.improved === true && monitor.metric === metric && monitor.mode === mode;
}

function inCommitOrder<E extends Candidate>(entries: readonly E[]): readonly E[] {
  for (let i = 1; i < entries.length; i++) {
    if ((entries[i - 1] as E).sequence > (entries[i] as E).sequence) return [...entries].sort((a, b) => a.sequence - b.sequence);
  }
  return entries;
}
