/** What an interval is expected to cost. Overhead is wall/work − 1, useful fraction (ETTR) is work/wall. */
import { assertKnown } from '../known-options.js';
import { assertCount, assertNotNegative, assertObject, assertPositive, assertShare, finite, refuse } from './checks.js';
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
 * may also come during saves and restarts. J. T. Daly, "A higher order estimate of the optimum checkpoint interval for restart dumps", Future Generation Computer
 * Systems 22(3), 2006. Where it is larger than any number it is `Number.MAX_VALUE`. Throws `ERR_INVALID_ARGUMENT`.
 */
export function wallPerWork(given: SynchronousCase): number {
  const { interval_s, cost_s, mtbf_s, restart_s } = assertObject('wallPerWork', given);
  assertPositive('wallPerWork', { interval_s, mtbf_s });
  assertNotNegative('wallPerWork', { cost_s, restart_s });
  return finite(1 / usefulFraction({ interval_s, stall_s: cost_s, persist_s: 0, restart_s, mtbf_s }));
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
 * a checkpoint is being written loses the whole interval before it, and the time since its snapshot. With P = 0 it is 1/{@link wallPerWork}, whose model
 * (J. T. Daly 2006) it extends to saves that are written while training goes on, as those of CheckFreq (J. Mohan et al., FAST 2021) and PCcheck
 * (F. Strati et al., ASPLOS 2025). The best interval does not depend on R and P. It is 0 where it is smaller than any number. Throws `ERR_INVALID_ARGUMENT`.
 */
export function usefulFraction(given: AsynchronousCase): number {
  const { interval_s, stall_s, persist_s, restart_s, mtbf_s } = assertObject('usefulFraction', given);
  assertPositive('usefulFraction', { interval_s, mtbf_s });
  assertNotNegative('usefulFraction', { stall_s, persist_s, restart_s });
  // Quotients before sums: these may overflow, or vanish, where those do not.
  const exponent = interval_s / mtbf_s + stall_s / mtbf_s;
  const workShare = 1 / (1 + stall_s / interval_s);
  // e^700 is near the largest number; beyond it −1 changes nothing, and the exponents add up.
  if (exponent > 700) return workShare * Math.min(exponent, 1e300) * Math.exp(-(restart_s + persist_s) / mtbf_s - exponent);
  const perExponent = exponent === 0 ? 1 : exponent / Math.expm1(exponent);
  return workShare * perExponent * Math.exp(-(restart_s + persist_s) / mtbf_s);
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

function checkCosts(where: string, costs: CostsOfRun): Required<{ [Name in keyof CostsOfRun]: number }> {
  assertKnown(where, assertObject(where, costs), ['cost_s', 'mtbf_s', 'restart_s', 'persist_s']);
  const { cost_s, mtbf_s, restart_s = 0, persist_s = 0 } = costs;
  assertPositive(where, { cost_s, mtbf_s });
  assertNotNegative(where, { restart_s, persist_s });
  return { cost_s, mtbf_s, restart_s, persist_s };
}

/**
 * Between which intervals, in seconds, the wall time is at most (1 + `share`) times that with the best one: how flat the optimum is. By
 * {@link wallPerWork}; R and P do not change it. Throws `ERR_INVALID_ARGUMENT`.
 */
export function withinShare_s(costs: CostsOfRun, share = 0.01): [low_s: number, high_s: number] {
  const { cost_s, mtbf_s } = checkCosts('withinShare_s', costs);
  assertShare('withinShare_s', 'share', share);
  const best_s = exactInterval_s({ cost_s, mtbf_s });
  const best = scaledExcess(best_s, cost_s, mtbf_s);
  const isWithin = (interval_s: number) => scaledExcess(interval_s, cost_s, mtbf_s) - best <= share * (1 + best);
  return [edge(best_s, 1 / 2, isWithin), edge(best_s, 2, isWithin)];
}

/**
 * wall/work over e^{(R+c)/M}, which no interval changes, minus 1: (e^{τ/M} − e^{−c/M})·M/τ − 1. Without that factor it is a number where wall/work is
 * larger than any.
 */
function scaledExcess(interval_s: number, cost_s: number, mtbf_s: number): number {
  const ratio = cost_s / mtbf_s;
  // (1 − e^{−c/M})·M/τ, with quotients that neither overflow nor vanish.
  const ofSave =
    ratio < 1 ? (cost_s / interval_s) * (ratio === 0 ? 1 : -Math.expm1(-ratio) / ratio) : (mtbf_s / interval_s) * -Math.expm1(-ratio);
  return meanGrowth(interval_s / mtbf_s) + ofSave;
}

/** (e^x − 1)/x − 1, for x ≥ 0: by how much the mean of e^y over y from 0 to x is above 1. */
function meanGrowth(x: number): number {
  // e^x overflows before e^x/x does.
  if (x > 700) return Math.exp(Math.min(x, 1e4) - Math.log(Math.min(x, 1e4)));
  if (x > 0.5) return (Math.expm1(x) - x) / x;
  // x/2! + x²/3! + …
  let term = x / 2;
  let sum = term;
  for (let n = 3; term > 1e-18 * sum; n++) {
    term *= x / n;
    sum += term;
  }
  return sum;
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

/**
 * Overhead at one interval, by the formula of {@link usefulFraction}; its parts to all digits also where they are tiny. What is larger than any number is
 * `Number.MAX_VALUE`. Throws `ERR_INVALID_ARGUMENT`.
 */
export function expectedAt(interval_s: number, costs: CostsOfRun): CurvePoint {
  const { cost_s, mtbf_s, restart_s, persist_s } = checkCosts('expectedAt', costs);
  assertPositive('expectedAt', { interval_s });
  const ettr = usefulFraction({ interval_s, stall_s: cost_s, persist_s, restart_s, mtbf_s });
  // wall/work = (1 + c/τ)·(1 + repeated)·(1 + away), whose product minus 1 is added up without taking 1 from a number that is near it.
  const saving = finite(cost_s / interval_s);
  const repeated = finite(meanGrowth(interval_s / mtbf_s + cost_s / mtbf_s));
  const away = finite(Math.expm1(restart_s / mtbf_s + persist_s / mtbf_s));
  const lost = finite(finite(1 + saving) * finite(repeated + away * finite(1 + repeated)));
  const overheadFraction = finite(saving + lost);
  return { interval_s, overheadFraction, ettr, saving, lost: overheadFraction < Number.MAX_VALUE ? lost : overheadFraction - saving };
}

/** Which intervals {@link expectedCurve} takes. */
export interface CurveRange {
  /** How many. 1 to 100 000, default 65; 1 is `from_s` alone. */
  readonly points?: number | undefined;
  /** The shortest, in seconds. Default: a sixteenth of the best. */
  readonly from_s?: number | undefined;
  /** The longest, in seconds. Default: sixteen times the best. */
  readonly to_s?: number | undefined;
}

/** More would fill the memory. */
const MOST_POINTS = 100_000;

/** The U-shaped curve of {@link expectedAt}: intervals evenly on a logarithmic scale. Throws `ERR_INVALID_ARGUMENT`. */
export function expectedCurve(costs: CostsOfRun, range: CurveRange = {}): CurvePoint[] {
  const where = 'expectedCurve';
  const { cost_s, mtbf_s } = checkCosts(where, costs);
  assertKnown(where, assertObject(where, range), ['points', 'from_s', 'to_s']);
  const best_s = exactInterval_s({ cost_s, mtbf_s });
  const { points = 65, from_s = Math.max(Number.MIN_VALUE, best_s / 16), to_s = finite(best_s * 16) } = range;
  assertCount(where, 'points', points);
  if (points > MOST_POINTS) throw refuse(where, 'points', points, `at most ${MOST_POINTS}`);
  assertPositive(where, { from_s, to_s });
  if (from_s > to_s) throw refuse(where, 'from_s', from_s, `at most to_s, which is ${to_s}`);
  const [first, last] = [Math.log(from_s), Math.log(to_s)];
  return Array.from({ length: points }, (_, i) => {
    // The ends themselves, not what rounding makes of them.
    const inside = Math.exp(first + ((last - first) * i) / (points - 1));
    return expectedAt(i === 0 ? from_s : i === points - 1 ? to_s : Math.min(to_s, Math.max(from_s, inside)), costs);
  });
}
