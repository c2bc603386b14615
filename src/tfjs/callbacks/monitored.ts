/** A metric that a callback watches, from what its options say. */
import { HoldfastError } from '../../errors.js';
import { oneOf } from '../../manager/options.js';
import { improves, type MetricMode, type Monitor } from '../../policy/best.js';
import { checkMonitor } from '../../policy/trigger.js';

/** What a callback watches. */
export interface MonitorOptions {
  /** Default `val_loss`. */
  readonly monitor?: string | undefined;
  /** Whether less or more of it is better. Default `auto`: by its name, as Keras 2 does it: max for accuracies, AUC, precision, recall, else min. */
  readonly mode?: MetricMode | 'auto' | undefined;
}

/** Throws `ERR_INVALID_ARGUMENT`. Keras takes a `minDelta` below 0 for its absolute value. */
export function toMonitor(
  who: string,
  { monitor = 'val_loss', mode = 'auto' }: MonitorOptions,
  limits: { readonly minDelta?: number | undefined; readonly threshold?: number | undefined } = {},
): Monitor {
  oneOf(`${who}: mode`, mode, ['auto', 'min', 'max']);
  const { minDelta, threshold } = limits;
  return checkMonitor(who, {
    monitor,
    mode: mode === 'auto' ? undefined : mode,
    minDelta: minDelta === undefined ? undefined : Math.abs(minDelta),
    threshold,
  });
}

/** Whether `value` is better than `best`. One that is not finite never is. */
export function beats(value: number, best: number | undefined, monitor: Monitor): boolean {
  return Number.isFinite(value) && improves(value, best, monitor);
}

/** Keras's `verbose`: 0 says nothing. */
export function toVerbose(who: string, verbose: unknown): boolean {
  if (verbose === undefined || verbose === 0 || verbose === false) return false;
  if (verbose === 1 || verbose === 2 || verbose === true) return true;
  throw new HoldfastError('ERR_INVALID_ARGUMENT', `${who}: verbose must be 0 or 1, not ${String(verbose)}.`);
}
