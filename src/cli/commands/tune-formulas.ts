/** What every formula says to a case, and what must be said of a recommendation. */
import { type CurvePoint, expectedAt, wallPerWork } from '../../interval/expected.js';
import { costWithWait_s, pccheckFrequency } from '../../interval/floors.js';
import { formatShare } from '../../interval/format-share.js';
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

/** What is expected of any interval: below what saves in flight allow training waits. */
export function expectedOf(given: TuningCase, found: Recommendation, interval_s: number): CurvePoint {
  const { persist_s = 0, slowdown = 0, restart_s, mtbf_s } = given;
  const cost_s = costAt_s(found, interval_s);
  return expectedAt(interval_s, { cost_s, mtbf_s, restart_s, persist_s: persist_s * (1 - slowdown) });
}

function costAt_s({ cost_s, limits }: Recommendation, interval_s: number): number {
  return costWithWait_s({ cost_s, interval_s, floor_s: limits.inFlight ?? 0 });
}

/** How long the run takes with an interval, but for a factor that none changes. */
function wallOf({ mtbf_s }: TuningCase, found: Recommendation, interval_s: number): number {
  return wallPerWork({ interval_s, cost_s: costAt_s(found, interval_s), mtbf_s, restart_s: 0 });
}

/** The exact one first. */
export function formulasOf(given: TuningCase, found: Recommendation): FormulaRow[] {
  const { interval, limits, cost_s } = found;
  const { step_s } = given;
  const wall = (interval_s: number) => wallOf(given, found, interval_s);
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
    const expected = expectedOf(given, found, interval_s);
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
export function warningsOf({ given }: TunePlan, found: Recommendation): string[] {
  const { interval, binding, limits, expected } = found;
  const { inFlight, maxOverhead } = limits;
  const { recommended_s } = interval;
  // With what no limit of the user's forbids.
  const best_s = Math.max(interval.exact_s, inFlight ?? 0);
  const best = expectedOf(given, found, best_s);
  const warnings: string[] = [];
  if (best.ettr < HARDLY) {
    warnings.push('Hardly anything gets done: failures come faster than work and a save are over. Make saves cheaper, or failures rarer.');
  } else if (best.ettr < 0.5) {
    warnings.push('More than half of all time is lost: make saves or restarts cheaper, or failures rarer.');
  }
  if (inFlight !== null && inFlight > recommended_s) {
    warnings.push(
      `Saves would come faster than they become durable: with ${given.maxInFlight ?? 1} in flight no interval below ${formatDuration_s(inFlight)} can be kept, and training will wait.`,
    );
  }
  if (maxOverhead !== null && maxOverhead > recommended_s) {
    warnings.push(`Saving takes more than --max-overhead: it would keep to that from ${formatDuration_s(maxOverhead)} on.`);
  }
  if (limits.maxInterval !== null && recommended_s > limits.maxInterval) {
    warnings.push(`A step takes longer than --max-interval: it cannot be kept.`);
  }
  const beyond = wallOf(given, found, recommended_s) / wallOf(given, found, best_s) - 1;
  if (binding !== 'optimum' && binding !== 'inFlight' && !(beyond <= 0.01) && best.ettr >= HARDLY) {
    const subject = recommended_s === given.step_s && recommended_s > best_s ? 'That a step takes so long' : 'The limit';
    const isLost = expected.ettr < HARDLY;
    const cost = isLost ? 'leaves hardly any time that is useful' : `costs ${formatShare(beyond)} of the run`;
    warnings.push(
      `${subject} ${cost}: the best interval is ${formatDuration_s(best_s)}, with ${formatShare(best.ettr)} of all time useful.`,
    );
  }
  return warnings;
}
