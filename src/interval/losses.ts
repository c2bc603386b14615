/** Where the time goes that is no useful work: overhead in its parts, and what one failure takes. */
import { assertNotNegative, assertPositive } from './checks.js';
import { type CostsOfRun, expectedAt } from './expected.js';

/** Shares of the time of the work, which add up to the overhead. */
export interface OverheadParts {
  /** Waiting for saves, and being slowed down by them: c/τ. */
  readonly saving: number;
  /** Work, and saves in between, that are done again. */
  readonly rework: number;
  /** What is lost in addition because a checkpoint is durable only P after its snapshot. */
  readonly persisting: number;
  /** Restarts, those included that fail themselves. */
  readonly restarts: number;
}

/**
 * The parts of wall/work − 1 = M·e^{(R+P)/M}·(e^{(τ+c)/M} − 1)/τ − 1 (J. T. Daly, 2006, equation 20, with P), one after another: what P adds to the
 * overhead without it, and what R adds to that. Throws `ERR_INVALID_ARGUMENT`.
 */
export function overheadParts(interval_s: number, { cost_s, mtbf_s, restart_s = 0, persist_s = 0 }: CostsOfRun): OverheadParts {
  const alone = expectedAt(interval_s, { cost_s, mtbf_s });
  const persisted = expectedAt(interval_s, { cost_s, mtbf_s, persist_s });
  const all = expectedAt(interval_s, { cost_s, mtbf_s, persist_s, restart_s });
  return {
    saving: alone.saving,
    rework: alone.lost,
    persisting: Math.max(0, persisted.overheadFraction - alone.overheadFraction),
    restarts: Math.max(0, all.overheadFraction - persisted.overheadFraction),
  };
}

/**
 * Seconds of work that a failure loses on average: [M(1 − e^{−τ/M}) − τ·e^{−L/M}]/(1 − e^{−L/M}) with L = τ + c, which is the mean of min(t, τ) for a
 * failure at t that comes within L (a truncated exponential distribution), and P more. Half an interval and P where c and τ are far shorter than M;
 * never more than M and P, however long the interval. Throws `ERR_INVALID_ARGUMENT`.
 */
export function lostPerFailure_s(interval_s: number, { cost_s, mtbf_s, persist_s = 0 }: CostsOfRun): number {
  assertPositive('lostPerFailure_s', { interval_s, cost_s, mtbf_s });
  assertNotNegative('lostPerFailure_s', { persist_s });
  const length_s = interval_s + cost_s;
  // There the difference of two numbers that are nearly the same would say nothing.
  if (length_s / mtbf_s < 1e-5) return interval_s * (1 - interval_s / (2 * length_s)) + persist_s;
  const work_s = -mtbf_s * Math.expm1(-interval_s / mtbf_s) - interval_s * Math.exp(-length_s / mtbf_s);
  return work_s / -Math.expm1(-length_s / mtbf_s) + persist_s;
}
