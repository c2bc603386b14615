/** What every formula says to a case, and what must be said of a recommendation. */
import { type CurvePoint, expectedAt, wallPerWork } from '../../interval/expected.js';
import { pccheckFrequency } from '../../interval/floors.js';
import { availabilityInterval_s } from '../../interval/optimal.js';
import type { Recommendation, TuningCase } from '../../interval/recommend.js';
import { formatDuration_s } from '../duration.js';
import type { TunePlan } from './tune-options.js';

/** One formula. */
export interface FormulaRow {
  readonly name: string;
  /** Where there is little room. */
  readonly short: string;
  /** Seconds of work between saves; 0 where the formula says that there is no interval. */
  readonly interval_s: number;
  /** `null` where nothing gets done. */
  readonly expected: CurvePoint | null;
  /** How much longer than with the best interval the run takes: a share; `null` where nothing gets done. */
  readonly beyondBest: number | null;
}

/** The exact one first. */
export function formulasOf(given: TuningCase, { interval, limits, cost_s }: Recommendation): FormulaRow[] {
  const { persist_s = 0, slowdown = 0, restart_s, mtbf_s, step_s } = given;
  const wall = (interval_s: number) => wallPerWork({ interval_s, cost_s, mtbf_s, restart_s: 0 });
  const best = wall(interval.exact_s);
  const steps = pccheckSteps(given);
  const all: (readonly [name: string, short: string, interval_s: number | null])[] = [
    ['exact (Lambert W)', 'exact', interval.exact_s],
    ['Daly 2006, higher order', 'Daly, higher order', interval.dalyHigher_s],
    ['Daly 2006, first order', 'Daly, first order', interval.dalyFirst_s],
    ['Young 1974', 'Young', interval.young_s],
    ['availability (Saxena 2024)', 'availability', availability_s(given, { cost_s })],
    ['at least: saves in flight', 'least in flight', limits.inFlight],
    ['at least: CheckFreq 2021', 'CheckFreq', limits.maxOverhead],
    ['at least: PCcheck 2025', 'PCcheck', steps === null || step_s === undefined ? null : steps * step_s],
  ];
  return all.flatMap(([name, short, interval_s]): FormulaRow[] => {
    if (interval_s === null) return [];
    if (interval_s === 0) return [{ name, short, interval_s, expected: null, beyondBest: null }];
    const expected = expectedAt(interval_s, { cost_s, mtbf_s, restart_s, persist_s: persist_s * (1 - slowdown) });
    const beyond = wall(interval_s) / best - 1;
    const isDone = expected.ettr > 0 && Number.isFinite(beyond);
    return [{ name, short, interval_s, expected: isDone ? expected : null, beyondBest: isDone ? Math.max(0, beyond) : null }];
  });
}

/** Of work: the formula itself counts from the beginning of one save to that of the next. */
export function availability_s({ mtbf_s, restart_s = 0 }: TuningCase, { cost_s }: Pick<Recommendation, 'cost_s'>): number {
  return availabilityInterval_s({ save_s: cost_s, failure_s: mtbf_s, recovery_s: restart_s }) - cost_s;
}

/** `null` where a step, the time until a checkpoint is durable, or what may be lost to it is not known. */
export function pccheckSteps({ persist_s = 0, step_s, maxOverhead, maxInFlight = 1 }: TuningCase): number | null {
  if (persist_s === 0 || step_s === undefined || maxOverhead === undefined) return null;
  return pccheckFrequency({ write_s: persist_s, step_s, slowdownFactor: 1 + maxOverhead, maxInFlight });
}

/** Less than that of the time useful is no training. */
const HARDLY = 1e-3;

/** What nobody who reads the interval alone would think of. */
export function warningsOf({ given }: TunePlan, { interval, binding, limits, expected, within1Percent_s }: Recommendation): string[] {
  const { inFlight, maxOverhead } = limits;
  const warnings: string[] = [];
  if (expected.ettr < HARDLY) {
    warnings.push('Hardly anything gets done: failures come faster than work and a save are over. Make saves cheaper, or failures rarer.');
  } else if (expected.ettr < 0.5) {
    warnings.push('More than half of all time is lost: make saves or restarts cheaper, or failures rarer.');
  }
  if (binding === 'maxInterval' && inFlight !== null && inFlight > interval.recommended_s) {
    warnings.push(
      `Saves would come faster than they become durable: with ${given.maxInFlight ?? 1} in flight no interval below ${formatDuration_s(inFlight)} can be kept, and training will wait.`,
    );
  }
  if (binding === 'maxInterval' && maxOverhead !== null && maxOverhead > interval.recommended_s) {
    warnings.push(`Saving takes more than --max-overhead: it would keep to that from ${formatDuration_s(maxOverhead)} on.`);
  }
  if ((binding === 'minInterval' || binding === 'maxOverhead') && interval.recommended_s > within1Percent_s[1]) {
    warnings.push(`The limit costs more than 1 % of the run: the best interval is ${formatDuration_s(interval.exact_s)}.`);
  }
  return warnings;
}
