/** Which checkpoint is the best. */
import type { PolicyEntry } from './entry.js';

export type MetricMode = 'min' | 'max';

/** A metric to watch, and which way is better. */
export interface Monitor {
  readonly metric: string;
  readonly mode: MetricMode;
}

/** Parts of names whose metrics are better when larger, as Keras infers them. */
const LARGER_IS_BETTER = ['acc', 'auc', 'fmeasure', 'precision', 'recall'];

/** Keras's `mode="auto"`: max for accuracies and their like, min for everything else. */
export function inferMode(metric: string): MetricMode {
  return LARGER_IS_BETTER.some((part) => metric.includes(part)) ? 'max' : 'min';
}

/** What is watched where nobody said: the validation loss, or the loss where there is none. */
export function defaultMonitor(entries: readonly Pick<PolicyEntry, 'metrics'>[]): Monitor {
  const validated = entries.some(({ metrics }) => metrics['val_loss'] !== undefined);
  return { metric: validated ? 'val_loss' : 'loss', mode: 'min' };
}

/** The best entry; the earliest among equals. Missing and NaN metrics never win. */
export function findBest<E extends Pick<PolicyEntry, 'metrics' | 'sequence'>>(
  entries: readonly E[],
  { metric, mode }: Monitor,
): E | undefined {
  let best: E | undefined;
  for (const entry of entries) {
    const value = entry.metrics[metric];
    if (value === undefined || Number.isNaN(value)) continue;
    if (best === undefined || isBetter(value, best.metrics[metric] as number, mode, entry.sequence < best.sequence)) best = entry;
  }
  return best;
}

function isBetter(value: number, than: number, mode: MetricMode, earlier: boolean): boolean {
  if (value === than) return earlier;
  return mode === 'min' ? value < than : value > than;
}
