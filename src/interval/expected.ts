/** What an interval is expected to cost. Overhead is wall/work − 1, useful fraction (ETTR) is work/wall. */
import { assertCount, assertNotNegative, assertPositive, assertShare } from './checks.js';
import { exactInterval_s } from './optimal.js';

/** What {@link wallPerWork} takes, in seconds. */
export interface SynchronousCase {
  /** τ: work from the end of one save to the beginning of the next. Above 0. */
  readonly interval_s: number;
  /** c: of a save. */
  readonly cost_s: number;
  /** M. Above 0. */
  readonly mtbf_s: number;
  /** R: from a failure until training goes on. */
  readonly restart_s: number;
}

/**
 * Expected wall time per time of work with saves that training waits for: M·e^{R/M}·(e^{(τ+c)/M} − 1)/τ, for failures of a Poisson process that
 * may also come during saves and restarts. J. T. Daly, Future Generation Computer Systems 22(3), 2006, equation 20. Where it is larger than any number
 * it is `Number.MAX_VALUE`. Throws `ERR_INVALID_ARGUMENT`.
 */
export function wallPerWork({ interval_s, cost_s, mtbf_s, restart_s }: SynchronousCase): number {
  const useful = usefulFraction({ interval_s, stall_s: cost_s, persist_s: 0, restart_s, mtbf_s });
  return Math.min(Number.MAX_VALUE, 1 / useful);
}

/** What {@link usefulFraction} takes, in seconds. */
export interface AsynchronousCase {
  /** τ: work from the end of one stall to the beginning of the next. Above 0. */
  readonly interval_s: number;
  /** c: how long a save blocks training, and what it slows it down by later. */
  readonly stall_s: number;
  /** P: from the snapshot to the durable checkpoint. 0 for a save that training waits for. */
  readonly persist_s: number;
  /** R. */
  readonly restart_s: number;
  /** M. Above 0. */
  readonly mtbf_s: number;
}

/**
 * Share of the time that goes into work which is not lost: (τ/M)·e^{−(R+P)/M}/(e^{(τ+c)/M} − 1). All of P counts, not half of it: a failure while
 * a checkpoint is being written loses the whole interval before it, and the time since its snapshot. With P = 0 it is 1/{@link wallPerWork}. It is 0 where
 * it is smaller than any number. Throws `ERR_INVALID_ARGUMENT`.
 */
export function usefulFraction({ interval_s, stall_s, persist_s, restart_s, mtbf_s }: AsynchronousCase): number {
  assertPositive('usefulFraction', { interval_s, mtbf_s });
  assertNotNegative('usefulFraction', { stall_s, persist_s, restart_s });
  const exponent = (interval_s + stall_s) / mtbf_s;
  // e^700 is near the largest number; beyond it −1 changes nothing, and the exponents add up.
  if (exponent > 700) return (interval_s / mtbf_s) * Math.exp(-(restart_s + persist_s) / mtbf_s - exponent);
  const perExponent = exponent < 1e-300 ? 1 : exponent / Math.expm1(exponent);
  return (interval_s / (interval_s + stall_s)) * perExponent * Math.exp(-(restart_s + persist_s) / mtbf_s);
}

/** What is known of saves and failures, in seconds. */
export interface CostsOfRun {
  /** c, or c + σ·P. Above 0. */
  readonly cost_s: number;
  readonly mtbf_s: number;
  /** R. Default 0. */
  readonly restart_s?: number | undefined;
  /** P. Default 0. */
  readonly persist_s?: number | undefined;
}

/**
 * Between which intervals, in seconds, the wall time is at most (1 + `share`) times that with the best one: how flat the optimum is. R and P do not
 * change it. Where nothing gets done with any, the best one alone. Throws `ERR_INVALID_ARGUMENT`.
 */
export function withinShare_s({ cost_s, mtbf_s }: CostsOfRun, share = 0.01): [low_s: number, high_s: number] {
  assertShare('withinShare_s', 'share', share);
  const best_s = exactInterval_s({ cost_s, mtbf_s });
  const wall = (interval_s: number) => 1 / usefulFraction({ interval_s, stall_s: cost_s, persist_s: 0, restart_s: 0, mtbf_s });
  const limit = wall(best_s) * (1 + share);
  if (!Number.isFinite(limit)) return [best_s, best_s];
  const isWithin = (interval_s: number) => wall(interval_s) <= limit;
  return [edge(best_s, 1 / 2, isWithin), edge(best_s, 2, isWithin)];
}

/** The last value that is within, going from `from` by `factor`: first in strides, then by halving the last of them, in logarithms. */
function edge(from: number, factor: number, isWithin: (value: number) => boolean): number {
  let inside = from;
  let outside = from * factor;
  while (isWithin(outside) && outside > Number.MIN_VALUE && outside < Number.MAX_VALUE / 4) {
    inside = outside;
    outside *= factor;
  }
  for (let i = 0; i < 60; i++) {
    const middle = Math.sqrt(inside) * Math.sqrt(outside);
    if (isWithin(middle)) inside = middle;
    else outside = middle;
  }
  return inside;
}

/** One point of a curve. All shares are of the time of the work, and add up to `overheadFraction`. */
export interface CurvePoint {
  readonly interval_s: number;
  /** wall/work − 1. */
  readonly overheadFraction: number;
  readonly ettr: number;
  /** What saves take: c/τ. */
  readonly saving: number;
  /** What failures take: work done again, restarts, saves done again. */
  readonly lost: number;
}

/** Overhead at one interval. Throws `ERR_INVALID_ARGUMENT`. */
export function expectedAt(interval_s: number, { cost_s, mtbf_s, restart_s = 0, persist_s = 0 }: CostsOfRun): CurvePoint {
  const ettr = usefulFraction({ interval_s, stall_s: cost_s, persist_s, restart_s, mtbf_s });
  const overheadFraction = Math.min(Number.MAX_VALUE, 1 / ettr) - 1;
  const saving = Math.min(cost_s / interval_s, overheadFraction);
  return { interval_s, overheadFraction, ettr, saving, lost: overheadFraction - saving };
}

/**
 * The U-shaped curve: `points` intervals, evenly on a logarithmic scale from `from_s` to `to_s` (default: from a sixteenth to sixteen times the
 * optimum). Throws `ERR_INVALID_ARGUMENT`.
 */
export function expectedCurve(
  costs: CostsOfRun,
  { points = 65, from_s, to_s }: { readonly points?: number; readonly from_s?: number; readonly to_s?: number } = {},
): CurvePoint[] {
  assertCount('expectedCurve', 'points', points);
  const best_s = exactInterval_s(costs);
  const [from, to] = [from_s ?? best_s / 16, to_s ?? best_s * 16];
  assertPositive('expectedCurve', { from_s: from, to_s: to });
  const ratio = Math.log(to / from) / Math.max(1, points - 1);
  return Array.from({ length: points }, (_, i) => expectedAt(from * Math.exp(ratio * i), costs));
}
