/** The interval between checkpoints that costs least: seconds of work from the end of one save to the beginning of the next. */
import { assertNotNegative, assertObject, assertPositive, finite } from './checks.js';
import { excessOfLambertW } from './lambert-w.js';

/** What a save costs and how often the run fails. */
export interface SaveAndFailure {
  /** Seconds that a save takes from training: c, or c + σ·P. Above 0. */
  readonly cost_s: number;
  /** Mean time between failures, in seconds. Above 0. */
  readonly mtbf_s: number;
}

/** Below this c/M every formula is √(2cM) in all digits, and c/M itself may be too small for a number. */
const NEGLIGIBLE = 1e-40;
/** Above this c/M, 1 − e^{−1−c/M} is 1. */
const OVERWHELMING = 40;

/**
 * √(2cM). J. W. Young, "A first order approximation to the optimum checkpoint interval", Communications of the ACM 17(9), 1974. For c ≪ M; it takes
 * failures during saves and restarts for impossible, and is longer than the optimum.
 *
 * With p expected failures in a run of T seconds, M = T/p, and it reads √(2cT/p): see {@link mtbfOf_s}. Throws `ERR_INVALID_ARGUMENT`.
 */
export function youngInterval_s(given: SaveAndFailure): number {
  const { cost_s, mtbf_s } = check('youngInterval_s', given);
  const square = 2 * cost_s * mtbf_s;
  // The product may overflow, or vanish, where its root does not.
  return square > 1e-300 && square < 1e300 ? Math.sqrt(square) : finite(Math.SQRT2 * Math.sqrt(cost_s) * Math.sqrt(mtbf_s));
}

/**
 * √(2cM) − c, and 0 where that is negative. The first-order model of J. T. Daly, "A higher order estimate of the optimum checkpoint interval for restart
 * dumps", Future Generation Computer Systems 22(3), 2006. Throws `ERR_INVALID_ARGUMENT`.
 */
export function dalyFirstInterval_s(given: SaveAndFailure): number {
  const { cost_s } = check('dalyFirstInterval_s', given);
  return Math.max(0, youngInterval_s(given) - cost_s);
}

/**
 * √(2cM)·[1 + ⅓√(c/2M) + ⅑(c/2M)] − c for c < 2M, and M beyond. J. T. Daly, Future Generation Computer Systems 22(3), 2006. Within 0.6 % of
 * the exact optimum for c < M/2, and 1.9 % for c < M. Throws `ERR_INVALID_ARGUMENT`.
 */
export function dalyHigherInterval_s(given: SaveAndFailure): number {
  const { cost_s, mtbf_s } = check('dalyHigherInterval_s', given);
  const ratio = cost_s / mtbf_s / 2;
  if (ratio >= 1) return mtbf_s;
  if (ratio < NEGLIGIBLE) return youngInterval_s(given);
  return mtbf_s * (2 * Math.sqrt(ratio) * (1 + Math.sqrt(ratio) / 3 + ratio / 9) - 2 * ratio);
}

/**
 * The least of Daly's complete model with Poisson failures ({@link wallPerWork}) without an approximation: M·[1 + W₀(−e^{−1−c/M})], whatever a restart
 * takes. J. T. Daly, Future Generation Computer Systems 22(3), 2006. Relative error below 1e-14 for any c/M. Throws `ERR_INVALID_ARGUMENT`.
 */
export function exactInterval_s(given: SaveAndFailure): number {
  const { cost_s, mtbf_s } = check('exactInterval_s', given);
  const ratio = cost_s / mtbf_s;
  if (ratio < NEGLIGIBLE) return youngInterval_s(given);
  return ratio > OVERWHELMING ? mtbf_s : mtbf_s * excessOfLambertW(ratio);
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
 * the time. N. R. Saxena et al., "Optimal checkpoint interval with availability as an objective function", arXiv:2410.18124, 2024. It takes failures to be found
 * soon: where that takes longer than this period, the period must be at least as long. Throws `ERR_INVALID_ARGUMENT`.
 */
export function availabilityInterval_s(given: AvailabilityTimes): number {
  const where = 'availabilityInterval_s';
  const { save_s, failure_s, recovery_s } = assertObject(where, given);
  assertPositive(where, { save_s, failure_s });
  assertNotNegative(where, { recovery_s });
  return finite(save_s + Math.sqrt(save_s) * Math.sqrt(finite(2 * (failure_s + recovery_s) + save_s)));
}

function check(where: string, given: SaveAndFailure): SaveAndFailure {
  const { cost_s, mtbf_s } = assertObject(where, given);
  assertPositive(where, { cost_s, mtbf_s });
  return given;
}
