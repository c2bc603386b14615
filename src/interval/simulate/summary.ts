/** Many runs in a few numbers, and what the closed forms say of them. */
import { HoldfastError } from '../../errors.js';
import { usefulFraction } from '../expected.js';
import { studentQuantile } from '../student.js';
import { type CompleteJob, costAt, isWarningOfUse, mtbfAt } from './job.js';
import type { SimulatedPolicy } from './policy.js';
import { addSums, emptySums, type PolicyRuns } from './simulate.js';

/** Of one number per run. */
export interface RunsSummary {
  readonly mean: number;
  /** The 95 % confidence interval of the mean (Student's t); `null` for a single run. */
  readonly low: number | null;
  readonly high: number | null;
  readonly median: number;
  readonly p05: number;
  readonly p95: number;
}

/** All runs under one policy. */
export interface PolicySummary {
  readonly name: string;
  /** The interval, in seconds of work: the mean of what was kept, where it changes; `null` where nothing was ever saved. */
  readonly interval_s: number | null;
  /** True if it is the same throughout. */
  readonly constant: boolean;
  /** ETTR: work that was not lost, by wall time. */
  readonly usefulFraction: RunsSummary;
  /** The same by the closed form, for one interval, and costs and rates that do not change: over a long time, and if failures are Poisson. */
  readonly predicted: number | null;
  /** Means per run. */
  readonly saves: number;
  readonly failures: number;
  /** Means of shares of the wall time: with the mean useful fraction they make 1. */
  readonly lost: { readonly saving: number; readonly rework: number; readonly restart: number; readonly slowdown: number };
  /** Runs that did not reach their end: see `limit_s`. */
  readonly unfinished: number;
}

/** Mean with its interval, and quantiles. Throws `ERR_INVALID_ARGUMENT` without any value. */
export function summariseRuns(values: Float64Array): RunsSummary {
  const count = values?.length;
  if (!(count > 0)) throw new HoldfastError('ERR_INVALID_ARGUMENT', 'summariseRuns takes the results of one run or more.');
  // A constant is taken off, so that rounding does not make a spread of equal values.
  const first = values[0] as number;
  const mean = first + values.reduce((sum, value) => sum + (value - first), 0) / count;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, count - 1);
  const half = count === 1 ? undefined : studentQuantile(count - 1) * Math.sqrt(variance / count);
  const interval = half === undefined ? { low: null, high: null } : { low: mean - half, high: mean + half };
  const sorted = Float64Array.from(values).sort();
  return { mean, ...interval, median: quantile(sorted, 0.5), p05: quantile(sorted, 0.05), p95: quantile(sorted, 0.95) };
}

/** Between the values beside it, as R's type 7 has it. */
function quantile(sorted: Float64Array, share: number): number {
  const at = share * (sorted.length - 1);
  const below = sorted[Math.floor(at)] as number;
  return below + (at - Math.floor(at)) * ((sorted[Math.ceil(at)] as number) - below);
}

/** All runs under one policy, from consecutive parts of them. */
export function summarisePolicy(job: CompleteJob, policy: SimulatedPolicy, parts: readonly PolicyRuns[]): PolicySummary {
  const runs = parts.reduce((sum, part) => sum + part.usefulFraction.length, 0);
  const fractions = new Float64Array(runs);
  const sums = emptySums();
  let at = 0;
  for (const part of parts) {
    fractions.set(part.usefulFraction, at);
    at += part.usefulFraction.length;
    addSums(sums, part.sums);
  }
  const constant_s = policy.constant_s?.(job);
  return {
    name: policy.name,
    interval_s: constant_s ?? (sums.withInterval === 0 ? null : sums.interval_s / sums.withInterval),
    constant: constant_s !== undefined,
    usefulFraction: summariseRuns(fractions),
    predicted: constant_s === undefined ? null : (predictedFraction(job, constant_s) ?? null),
    saves: sums.saves / runs,
    failures: sums.failures / runs,
    lost: { saving: sums.saving / runs, rework: sums.rework / runs, restart: sums.restart / runs, slowdown: sums.slowdown / runs },
    unfinished: sums.unfinished,
  };
}

/**
 * The useful fraction, over a long time, of a job that saves every `interval_s` of work, by the closed form (see {@link usefulFraction}); with
 * slowdown, (τ/M)·e^{−(R+P+τ+c)/M}/(1 − e^{−(τ+c+σP)/M}), as the first save after a restart slows down nothing before it. `undefined` where it does not
 * hold: costs or rates change, saves wait for their turn to be persisted or slow down more than one segment, failures are announced in time for a
 * last save, or the job is `work_s` long, whose mean of work/wall is not work by the mean of wall. For failures that are not Poisson it is what it
 * would be if they were.
 */
export function predictedFraction(job: CompleteJob, interval_s: number): number | undefined {
  const { stall_s, persist_s, restart_s, failures, maxInFlight } = job;
  const varies = [stall_s, persist_s, restart_s, failures.kind === 'trace' ? 0 : failures.mtbf_s].some((each) => typeof each !== 'number');
  const mtbf_s = mtbfAt(job, 0);
  if (varies || mtbf_s === undefined || job.work_s !== undefined || isWarningOfUse(job, 0)) return undefined;
  const cost = costAt(job, 0);
  // σP added to c counts it for the first save too, before which nothing is slower: taken from P, it does not.
  const slowed_s = job.slowdown * cost.persist_s;
  const isApart = slowed_s > 0 ? interval_s >= cost.persist_s - slowed_s : maxInFlight * (interval_s + cost.stall_s) >= cost.persist_s;
  if (!isApart) return undefined;
  const costs = { stall_s: cost.stall_s + slowed_s, persist_s: cost.persist_s - slowed_s };
  return usefulFraction({ interval_s, ...costs, restart_s: restart_s as number, mtbf_s });
}
