/** The trigger that chooses its own interval: by what saves cost and how often the run fails. */
import { HoldfastError } from '../errors.js';
import { type ControllerOptions, DEFAULT_MAX_INTERVAL_S } from '../interval/controller.js';
import { DEFAULT_PRIOR } from '../interval/failure-estimate.js';
import { inSteps } from '../interval/limits.js';
import { assertKnown } from '../known-options.js';
import { type Duration, formatDuration, toMilliseconds } from './duration.js';
import type { IntervalNeeds, Trigger, TriggerFacts } from './trigger.js';

/** What is believed of failures before there were any. */
export interface AutoPrior {
  /** Mean time between failures. */
  readonly mtbf: Duration;
  /** As much as so many failures that were seen. Default 1: soon outweighed by the run's own. */
  readonly weight?: number | undefined;
}

/** Options of {@link auto}. */
export interface AutoOptions {
  /** Mean time between failures, where you know it. Default: estimated from `prior` and the run's own failures. */
  readonly mtbf?: Duration | undefined;
  /** Default `{ mtbf: { hours: 24 }, weight: 1 }`. */
  readonly prior?: AutoPrior | undefined;
  /** Most of training's time that saving may take, between 0 and 1, such as 0.03. Default: no limit. */
  readonly maxOverhead?: number | undefined;
  /** Never more often than that. Default: no limit. */
  readonly minInterval?: Duration | undefined;
  /** Never less often, whatever is measured and estimated. Default 12 hours. */
  readonly maxInterval?: Duration | undefined;
  /** Whether the interval is kept in time (default), or in steps: as many as usually take that time. */
  readonly unit?: 'time' | 'steps' | undefined;
}

const KEYS = ['mtbf', 'prior', 'maxOverhead', 'minInterval', 'maxInterval', 'unit'] as const satisfies readonly (keyof AutoOptions)[];

/**
 * Due when the interval has gone by that costs the run least: the manager measures what each save costs training, how long it takes to become
 * durable, how long a restart takes and how often the run fails, and chooses by the optimum for Poisson failures (docs/INTERVALS.md).
 * `manager.interval.explain()` says why. Throws `ERR_INVALID_ARGUMENT` and `ERR_UNKNOWN_OPTION`.
 */
export function auto(options: AutoOptions = {}): Trigger {
  assertKnown('auto', options, KEYS);
  const needs = { controller: toControllerOptions(options), unit: checkUnit(options.unit) };
  const description = `auto(${describe(options)})`;
  return { description, due: (facts) => dueBy(facts, needs), needs: { interval: needs } };
}

function dueBy({ interval, step, previousSave }: TriggerFacts, { unit, controller }: IntervalNeeds): string | undefined {
  if (interval === undefined) return undefined;
  const { interval_s, reason, worked_s, step_s = 0, isMeasuring } = interval;
  const { maxInterval_s = DEFAULT_MAX_INTERVAL_S } = controller;
  // The longest interval holds, also where steps have become slow: behind the next one it would be over.
  const isLast = worked_s + step_s > maxInterval_s;
  if (isMeasuring && !isLast) return undefined;
  if (unit === 'steps' && step_s > 0 && !isLast) {
    const steps = inSteps(interval_s, step_s, reason);
    const done = step - previousSave;
    return done >= steps ? `${done} steps have gone by since the last save, of an interval of ${steps}` : undefined;
  }
  // At the step that is nearest to the moment, not at the first one behind it; but no sooner than a limit allows.
  const due_s = reason === 'optimum' ? interval_s - step_s / 2 : interval_s;
  if (worked_s < due_s && !isLast) return undefined;
  return `${round(worked_s)} s have gone by since the last save, of an interval of ${round(interval_s)} s`;
}

function toControllerOptions(options: AutoOptions): ControllerOptions {
  const { maxOverhead } = options;
  if (maxOverhead !== undefined && !(typeof maxOverhead === 'number' && maxOverhead > 0 && maxOverhead < 1)) {
    throw new HoldfastError(
      'ERR_INVALID_ARGUMENT',
      `auto: maxOverhead is a share between 0 and 1, such as 0.03, not ${String(maxOverhead)}.`,
    );
  }
  if (options.mtbf !== undefined && options.prior !== undefined) {
    throw new HoldfastError(
      'ERR_INVALID_ARGUMENT',
      'auto takes mtbf, where it is known, or a prior, where it is to be estimated: give one.',
    );
  }
  const minInterval_s = seconds('minInterval', options.minInterval);
  const maxInterval_s = seconds('maxInterval', options.maxInterval);
  if ((minInterval_s ?? 0) > (maxInterval_s ?? DEFAULT_MAX_INTERVAL_S)) {
    const most =
      maxInterval_s === undefined
        ? `the longest interval, which is ${DEFAULT_MAX_INTERVAL_S / 3600} hours unless you give another`
        : 'maxInterval';
    throw new HoldfastError('ERR_INVALID_ARGUMENT', `auto: minInterval is longer than ${most}.`);
  }
  return { mtbf_s: seconds('mtbf', options.mtbf), prior: toPrior(options.prior), maxOverhead, minInterval_s, maxInterval_s };
}

function toPrior(prior: AutoPrior | undefined): ControllerOptions['prior'] {
  if (prior === undefined) return undefined;
  assertKnown('auto.prior', prior, ['mtbf', 'weight']);
  const { weight = DEFAULT_PRIOR.weight } = prior;
  if (!(typeof weight === 'number' && Number.isFinite(weight) && weight > 0)) {
    throw new HoldfastError('ERR_INVALID_ARGUMENT', `auto: the weight of a prior is a number of failures above 0, not ${String(weight)}.`);
  }
  return { mtbf_s: toMilliseconds('auto.prior.mtbf', prior.mtbf) / 1000, weight };
}

function checkUnit(unit: AutoOptions['unit'] = 'time'): 'time' | 'steps' {
  if (unit === 'time' || unit === 'steps') return unit;
  throw new HoldfastError('ERR_INVALID_ARGUMENT', `auto: unit is "time" or "steps", not ${String(unit)}.`);
}

function seconds(name: string, duration: Duration | undefined): number | undefined {
  return duration === undefined ? undefined : toMilliseconds(`auto.${name}`, duration) / 1000;
}

function describe({ mtbf, prior, maxOverhead, minInterval, maxInterval, unit }: AutoOptions): string {
  const durations = Object.entries({ mtbf, prior: prior?.mtbf, minInterval, maxInterval });
  const parts = durations.flatMap(([name, duration]) => (duration === undefined ? [] : [`${name} ${formatDuration(duration)}`]));
  if (maxOverhead !== undefined) parts.push(`maxOverhead ${maxOverhead}`);
  if (unit === 'steps') parts.push('in steps');
  return parts.join(', ');
}

function round(value: number): number {
  return value >= 100 ? Math.round(value) : Number(value.toPrecision(2));
}
