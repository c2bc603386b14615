/** Recommends an interval for what is known of saves and failures, and says what it rests on. */
import { HoldfastError } from '../errors.js';
import { assertKnown } from '../known-options.js';
import { assertCount, assertNotNegative, assertObject, assertPositive, assertShare } from './checks.js';
import { type CurvePoint, expectedAt, withinShare_s } from './expected.js';
import { budgetFloor_s, costWithWait_s, effectiveCost_s, inFlightFloor_s } from './floors.js';
import { aboveFloor, type Binding, type IntervalLimits, inSteps, keepWithin } from './limits.js';
import { lostPerFailure_s, type OverheadParts, overheadParts } from './losses.js';
import { dalyFirstInterval_s, dalyHigherInterval_s, exactInterval_s, youngInterval_s } from './optimal.js';

/** What {@link recommendInterval} takes; all lengths of time in seconds. */
export interface TuningCase {
  /** c: how long a save blocks training. With P, σ and R left out: what a save costs in all. */
  readonly stall_s: number;
  /** P: from then to the durable checkpoint. Default 0. */
  readonly persist_s?: number | undefined;
  /** σ: share of its speed that training loses meanwhile, 0 to 1; 1 where the loop waits for it. Default 0. */
  readonly slowdown?: number | undefined;
  /** R: from a failure until training goes on. Default 0. */
  readonly restart_s?: number | undefined;
  /** M. */
  readonly mtbf_s: number;
  /** N: saves that may be in flight. Default 1. */
  readonly maxInFlight?: number | undefined;
  /** Most of the work's time that saving may take, a share. Default: no limit. */
  readonly maxOverhead?: number | undefined;
  readonly minInterval_s?: number | undefined;
  readonly maxInterval_s?: number | undefined;
  /** What a step takes. */
  readonly step_s?: number | undefined;
}

/** What every formula says, and what is recommended. Seconds of work between saves. */
export interface Recommendation {
  readonly interval: {
    readonly young_s: number;
    readonly dalyFirst_s: number;
    readonly dalyHigher_s: number;
    readonly exact_s: number;
    /** The exact one, within the limits, and no shorter than a step. */
    readonly recommended_s: number;
  };
  /** The recommended one in steps; `null` where it is not known what a step takes. */
  readonly steps: number | null;
  /** `step`: a step takes longer than all that the others would choose. */
  readonly binding: Binding | 'step';
  readonly limits: IntervalLimits;
  /** c + σ·P. */
  readonly cost_s: number;
  /** At the recommended interval. */
  readonly expected: CurvePoint &
    OverheadParts & {
      /** Work that a failure loses on average. */
      readonly lostWork_s: number;
    };
  /** Between these the run takes at most 1 % longer than with the exact interval; no shorter ones than saves in flight allow, where there are others. */
  readonly within1Percent_s: readonly [low: number, high: number];
}

const KEYS = [
  'stall_s',
  'persist_s',
  'slowdown',
  'restart_s',
  'mtbf_s',
  'maxInFlight',
  'maxOverhead',
  'minInterval_s',
  'maxInterval_s',
  'step_s',
] as const satisfies readonly (keyof TuningCase)[];

/**
 * The exact interval (Poisson failures) for c + σ·P, no shorter than P/N − c − σP and than maxOverhead allows, within minInterval and maxInterval; the longest
 * interval wins over all others but a step's time, behind which alone there can be a save. Throws `ERR_INVALID_ARGUMENT` and `ERR_UNKNOWN_OPTION`.
 */
export function recommendInterval(given: TuningCase): Recommendation {
  const where = 'recommendInterval';
  assertKnown(where, assertObject(where, given), KEYS);
  const { stall_s, persist_s = 0, slowdown = 0, restart_s = 0, mtbf_s, maxInFlight = 1, maxOverhead, step_s } = given;
  const { minInterval_s = 0, maxInterval_s = Number.MAX_VALUE } = given;
  assertPositive(where, { mtbf_s, maxInterval_s, ...(step_s === undefined ? {} : { step_s }) });
  assertNotNegative(where, { restart_s, minInterval_s });
  assertCount(where, 'maxInFlight', maxInFlight);
  if (maxOverhead !== undefined) assertShare(where, 'maxOverhead', maxOverhead);
  if (minInterval_s > maxInterval_s)
    throw new HoldfastError('ERR_INVALID_ARGUMENT', `${where}: minInterval_s is longer than maxInterval_s.`);
  const cost_s = effectiveCost_s({ stall_s, slowdown, persist_s });
  // A save that costs nothing needs no interval.
  assertPositive(where, { 'stall_s + slowdown · persist_s': cost_s });
  const costs = { cost_s, mtbf_s };
  const exact_s = exactInterval_s(costs);
  const inFlight = inFlightFloor_s({ stall_s, persist_s, slowdown, maxInFlight });
  const limits = {
    inFlight: inFlight === 0 ? null : inFlight,
    maxOverhead: maxOverhead === undefined ? null : budgetFloor_s({ cost_s, maxOverhead }),
    minInterval: given.minInterval_s ?? null,
    maxInterval: given.maxInterval_s ?? null,
  };
  const [wanted_s, limit] = keepWithin(exact_s, limits);
  const isStepLonger = step_s !== undefined && step_s > wanted_s;
  const recommended_s = isStepLonger ? step_s : wanted_s;
  // What slows training down is part of the cost already.
  const all = {
    cost_s: costWithWait_s({ cost_s, interval_s: recommended_s, floor_s: inFlight }),
    ...{ mtbf_s, restart_s, persist_s: persist_s * (1 - slowdown) },
  };
  return {
    interval: {
      young_s: youngInterval_s(costs),
      dalyFirst_s: dalyFirstInterval_s(costs),
      dalyHigher_s: dalyHigherInterval_s(costs),
      exact_s,
      recommended_s,
    },
    steps: step_s === undefined ? null : inSteps(recommended_s, step_s, limit),
    binding: isStepLonger ? 'step' : limit,
    limits,
    cost_s,
    expected: {
      ...expectedAt(recommended_s, all),
      ...overheadParts(recommended_s, all),
      lostWork_s: lostPerFailure_s(recommended_s, all),
    },
    within1Percent_s: aboveFloor(withinShare_s(costs), inFlight),
  };
}
