/** The interval between checkpoints that costs least: seconds of work from the end of one save to the beginning of the next. */
import { assertNotNegative, assertPositive } from './checks.js';
import { excessOfLambertW } from './lambert-w.js';

/** What a save costs and how often the run fails. */
export interface SaveAndFailure {
  /** Seconds that a save takes from training: c, or c + σ·P. Above 0. */
  readonly cost_s: number;
  /** Mean time between failures, in seconds. Above 0. */
  readonly mtbf_s: number;
}

/**
 * √(2cM). J. W. Young, "A first order approximation to the optimum checkpoint interval", Communications of the ACM 17(9), 1974. For c ≪ M; it takes
 * failures during saves and restarts for impossible, and is longer than the optimum.
 *
 * With p expected failures in a run of T seconds, M = T/p, and it reads √(2cT/p): see {@link mtbfOf_s}. Throws `ERR_INVALID_ARGUMENT`.
 */
export function youngInterval_s({ cost_s, mtbf_s }: SaveAndFailure): number {
  assertPositive('youngInterval_s', { cost_s, mtbf_s });
  const square = 2 * cost_s * mtbf_s;
  // The product may overflow, or vanish, where its root does not.
  return square > 1e-300 && square < 1e300 ? Math.sqrt(square) : Math.SQRT2 * Math.sqrt(cost_s) * Math.sqrt(mtbf_s);
}

/**
 * √(2cM) − c, and 0 where that is negative. J. T. Daly, "A higher order estimate of the optimum checkpoint interval for restart dumps", Future
 * Generation Computer Systems 22(3), 2006, equation 13. Throws `ERR_INVALID_ARGUMENT`.
 */
export function dalyFirstInterval_s({ cost_s, mtbf_s }: SaveAndFailure): number {
  assertPositive('dalyFirstInterval_s', { cost_s, mtbf_s });
  return Math.max(0, youngInterval_s({ cost_s, mtbf_s }) - cost_s);
}

/**
 * √(2cM)·[1 + ⅓√(c/2M) + ⅑(c/2M)] − c for c < 2M, and M beyond. Daly 2006, equation 37. Within half a percent of the exact optimum for c < M/2. Throws
 * `ERR_INVALID_ARGUMENT`.
 */
export function dalyHigherInterval_s({ cost_s, mtbf_s }: SaveAndFailure): number {
  assertPositive('dalyHigherInterval_s', { cost_s, mtbf_s });
  const ratio = cost_s / mtbf_s / 2;
  if (ratio >= 1) return mtbf_s;
  return youngInterval_s({ cost_s, mtbf_s }) * (1 + Math.sqrt(ratio) / 3 + ratio / 9) - cost_s;
}

/**
 * The least of Daly's complete model with Poisson failures (wall/work = M·e^{R/M}·(e^{(τ+c)/M} − 1)/τ, Daly 2006, equation 20), without an
 * approximation: M·[1 + W₀(−e^{−1−c/M})], whatever a restart takes. Relative error below 1e-13 for c/M from 1e-12 to 10 and beyond. Throws
 * `ERR_INVALID_ARGUMENT`.
 */
export function exactInterval_s({ cost_s, mtbf_s }: SaveAndFailure): number {
  assertPositive('exactInterval_s', { cost_s, mtbf_s });
  // There they are the same number, and the ratio may vanish.
  if (cost_s / mtbf_s < 1e-40) return youngInterval_s({ cost_s, mtbf_s });
  return mtbf_s * excessOfLambertW(cost_s / mtbf_s);
}

/** What {@link availabilityInterval_s} takes, all in seconds. */
export interface AvailabilityTimes {
  /** T_s: of a save. Above 0. */
  readonly save_s: number;
  /** T_f: mean time to a failure. Above 0. */
  readonly failure_s: number;
  /** T_r: of the recovery from one. At least 0. */
  readonly recovery_s: number;
}

/**
 * T_s + √(2(T_f + T_r)T_s + T_s²): the period from the beginning of one save to that of the next at which the system is available for most of
 * the time. S. Saxena et al., "Optimal checkpoint interval with availability as an objective function", 2024. Throws `ERR_INVALID_ARGUMENT`.
 */
export function availabilityInterval_s({ save_s, failure_s, recovery_s }: AvailabilityTimes): number {
  assertPositive('availabilityInterval_s', { save_s, failure_s });
  assertNotNegative('availabilityInterval_s', { recovery_s });
  return save_s + Math.sqrt(save_s) * Math.sqrt(2 * (failure_s + recovery_s) + save_s);
}
