/** Runs of a job under policies, one after another. */
import { HoldfastError } from '../../errors.js';
import { assertKnown } from '../../known-options.js';
import { runByEvents } from './event-run.js';
import { FailureTimes } from './failure-times.js';
import { isFixed, runFixed } from './fixed-run.js';
import { type CompleteJob, completeJob, type SimulatedJob } from './job.js';
import type { SimulatedRun } from './outcome.js';
import { assertInterval, assertPolicy, type SimulatedPolicy } from './policy.js';

/** Most runs at a time: what comes of each is kept until the end. */
const MOST_RUNS = 10_000_000;

export interface SimulateOptions {
  /** Whole number from 0; with the run's number it decides when the job fails. */
  readonly seed: number;
  /** The run's number, from 0 (default 0). */
  readonly run?: number;
  /** Event by event, also where arithmetic gives the same faster. */
  readonly everyEvent?: boolean;
}

/** What came of some runs under one policy: a number of each kind for every run, in their order. */
export interface PolicyRuns {
  readonly usefulFraction: Float64Array<ArrayBuffer>;
  /** Sums over the runs. */
  readonly sums: RunSums;
}

/** Sums over runs. Of what was lost, shares of the wall time are added up; each run's shares and its useful fraction make 1. */
export interface RunSums {
  saves: number;
  failures: number;
  saving: number;
  rework: number;
  restart: number;
  slowdown: number;
  /** Of the mean intervals, and how many runs had one. */
  interval_s: number;
  withInterval: number;
  unfinished: number;
}

/**
 * One run of a job. The same seed and run give the same failures, whatever the policy. Throws `ERR_INVALID_ARGUMENT` and
 * `ERR_UNKNOWN_OPTION` for a job that cannot be, and where the policy gives no interval above 0.
 */
export function simulate(job: SimulatedJob, policy: SimulatedPolicy, options: SimulateOptions): SimulatedRun {
  assertKnown('simulate', options, ['seed', 'run', 'everyEvent']);
  const { seed, run = 0, everyEvent = false } = options;
  const complete = completeJob(job);
  assertWhole('seed', seed);
  assertWhole('run', run);
  const failures = new FailureTimes(complete.failures);
  failures.turnTo(seed, run);
  return runnerOf(complete, policy, everyEvent)(failures);
}

/** Runs number `from` to `from + count - 1` under every policy, all of them with the same failures. Throws as {@link simulate} does. */
export function simulateRuns(
  job: SimulatedJob,
  policies: readonly SimulatedPolicy[],
  range: { readonly seed: number; readonly from: number; readonly count: number },
): PolicyRuns[] {
  assertKnown('simulateRuns', range, ['seed', 'from', 'count']);
  const { seed, from, count } = range;
  const complete = completeJob(job);
  for (const [name, value] of Object.entries({ seed, from, count })) assertWhole(name, value);
  assertMemory('count', count);
  if (!Array.isArray(policies)) throw new HoldfastError('ERR_INVALID_ARGUMENT', 'simulateRuns takes a list of policies.');
  const failures = new FailureTimes(complete.failures);
  const runners = policies.map((policy) => runnerOf(complete, policy, false));
  const all = policies.map((): PolicyRuns => ({ usefulFraction: new Float64Array(count), sums: emptySums() }));
  for (let i = 0; i < count; i++) {
    failures.turnTo(seed, from + i);
    for (const [which, { usefulFraction, sums }] of all.entries()) {
      const run = (runners[which] as Runner)(failures);
      usefulFraction[i] = run.usefulFraction;
      addRun(sums, run);
    }
  }
  return all;
}

type Runner = (failures: FailureTimes) => SimulatedRun;

function runnerOf(job: CompleteJob, policy: SimulatedPolicy, everyEvent: boolean): Runner {
  assertPolicy(policy);
  const interval_s = everyEvent ? undefined : policy.constant_s?.(job);
  if (interval_s !== undefined) assertInterval(policy.name, interval_s, 0);
  if (interval_s !== undefined && isFixed(job, interval_s)) return (failures) => runFixed(job, interval_s, failures);
  return (failures) => runByEvents(job, policy, failures);
}

/** Sums over no runs. */
export function emptySums(): RunSums {
  return { saves: 0, failures: 0, saving: 0, rework: 0, restart: 0, slowdown: 0, interval_s: 0, withInterval: 0, unfinished: 0 };
}

function addRun(sums: RunSums, { wall_s, saves, failures, lost, meanInterval_s, finished }: SimulatedRun): void {
  sums.saves += saves;
  sums.failures += failures;
  sums.saving += lost.saving_s / wall_s;
  sums.rework += lost.rework_s / wall_s;
  sums.restart += lost.restart_s / wall_s;
  sums.slowdown += lost.slowdown_s / wall_s;
  if (meanInterval_s !== undefined) {
    sums.interval_s += meanInterval_s;
    sums.withInterval += 1;
  }
  if (!finished) sums.unfinished += 1;
}

/** Adds the sums of later runs. */
export function addSums(sums: RunSums, more: RunSums): void {
  for (const key of Object.keys(sums) as (keyof RunSums)[]) sums[key] += more[key];
}

/** Throws `ERR_INVALID_ARGUMENT` for more runs than their results have room for. */
export function assertMemory(name: string, runs: number): void {
  if (runs <= MOST_RUNS) return;
  throw new HoldfastError('ERR_INVALID_ARGUMENT', `${name} must be at most ${MOST_RUNS}, not ${runs}: every result is kept.`);
}

function assertWhole(name: string, value: number): void {
  if (Number.isSafeInteger(value) && value >= 0) return;
  throw new HoldfastError('ERR_INVALID_ARGUMENT', `${name} must be a whole number of at least 0, not ${String(value)}.`);
}
