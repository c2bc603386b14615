/** A job for the simulator: what a save costs, what a restart costs, and when it fails. */
import { HoldfastError } from '../../errors.js';
import { assertKnown } from '../../known-options.js';
import { assertCount, assertNotNegative, assertPositive, refuse } from '../checks.js';
import { assertVarying, greatest, momentOf, type Varying, valueAt } from './varying.js';

/** Failures at random: the time to the next one does not depend on when the last one was. */
export interface PoissonFailures {
  readonly kind: 'poisson';
  readonly mtbf_s: Varying;
  /** How long before a failure it is announced, as by a cloud that takes a spot machine away. */
  readonly warning_s?: number;
}

/** Times between failures of a Weibull distribution with mean `mtbf_s`; the first counts from the beginning of the job. */
export interface WeibullFailures {
  readonly kind: 'weibull';
  readonly mtbf_s: Varying;
  /** Below 1, failures come in groups (0.7 is common for clusters: Schroeder and Gibson 2006); 1 is Poisson; above 1, things wear out. */
  readonly shape: number;
  readonly warning_s?: number;
}

/** Failures that have happened. */
export interface TraceFailures {
  readonly kind: 'trace';
  /** Seconds since the beginning of the job, ascending. After the last one there are none, unless `randomStart` is set. */
  readonly times_s: readonly number[];
  /** How long was watched (default: up to the last failure). */
  readonly period_s?: number;
  /** Every run begins at a moment of the trace that chance decides, and from its end goes on at its beginning. */
  readonly randomStart?: boolean;
  readonly warning_s?: number;
}

export type Failures = PoissonFailures | WeibullFailures | TraceFailures;

/** A job. Either `wall_s` or `work_s` says how long it is. */
export interface SimulatedJob {
  /** It ends after so much wall time (default: 54 days); the work that it has in hand then counts as done. */
  readonly wall_s?: number;
  /** It ends when so much work is done and its last save is durable, at the latest after `limit_s`. */
  readonly work_s?: number;
  /** For `work_s`: where it is given up as one that does not get on (default: 100 times `work_s`). */
  readonly limit_s?: number;
  /** c: how long training waits for a save. */
  readonly stall_s: Varying;
  /** P: from the end of the stall until the checkpoint is durable (default 0). */
  readonly persist_s?: Varying;
  /** True: training waits until the checkpoint is durable, `stall_s` and `persist_s` (default: it goes on after `stall_s`). */
  readonly synchronous?: boolean;
  /** σ: the share of its speed that training loses to every save that is being persisted (default 0). */
  readonly slowdown?: number;
  /** N: how many saves are persisted at a time (default 1); one more waits at the end of its stall. */
  readonly maxInFlight?: number;
  /** R: from a failure until training goes on (default 0). A failure during a restart begins it anew. */
  readonly restart_s?: Varying;
  readonly failures: Failures;
}

/** A job with everything filled in. */
export type CompleteJob = Required<Omit<SimulatedJob, 'wall_s' | 'work_s'>> & {
  readonly wall_s: number | undefined;
  readonly work_s: number | undefined;
};

/** 54 days: as long as the run that Llama 3's report counts the failures of. */
export const DEFAULT_WALL_S = 54 * 86_400;

/** Most failures of one run: the moment of each is kept for the next policy. */
export const MOST_FAILURES = 1e8;

/** How errors begin. */
const WHERE = 'simulate';

/** How much wall time a job of `work_s` may take for each second of work. */
const LIMIT = 100;

const JOB_OPTIONS: readonly (keyof SimulatedJob)[] = [
  ...(['wall_s', 'work_s', 'limit_s', 'stall_s', 'persist_s', 'synchronous'] as const),
  ...(['slowdown', 'maxInFlight', 'restart_s', 'failures'] as const),
];

const FAILURE_OPTIONS: Readonly<Record<Failures['kind'], readonly string[]>> = {
  poisson: ['kind', 'mtbf_s', 'warning_s'],
  weibull: ['kind', 'mtbf_s', 'shape', 'warning_s'],
  trace: ['kind', 'times_s', 'period_s', 'randomStart', 'warning_s'],
};

/** The job with its defaults. Throws `ERR_INVALID_ARGUMENT` for what cannot be, and `ERR_UNKNOWN_OPTION` for what is misspelled. */
export function completeJob(job: SimulatedJob): CompleteJob {
  assertKnown('A simulated job', job, JOB_OPTIONS);
  if (job.wall_s !== undefined && job.work_s !== undefined) throw invalid('A simulated job is wall_s or work_s long, not both.');
  const work_s = job.work_s;
  const wall_s = work_s === undefined ? (job.wall_s ?? DEFAULT_WALL_S) : undefined;
  assertPositive(WHERE, work_s === undefined ? { wall_s: wall_s as number } : { work_s });
  if (work_s === undefined && (job.limit_s ?? wall_s) !== wall_s)
    throw invalid('limit_s is for jobs of work_s: one of wall_s ends with that.');
  const limit_s = job.limit_s ?? wall_s ?? LIMIT * (work_s as number);
  assertPositive(WHERE, { limit_s });
  const { persist_s = 0, slowdown = 0, maxInFlight = 1, restart_s = 0, synchronous = false } = job;
  assertVarying(WHERE, 'stall_s', job.stall_s, { positive: false });
  assertVarying(WHERE, 'persist_s', persist_s, { positive: false });
  assertVarying(WHERE, 'restart_s', restart_s, { positive: false });
  if (!(typeof slowdown === 'number' && slowdown >= 0 && slowdown < 1))
    throw invalid(`slowdown must be a number from 0 to below 1, not ${String(slowdown)}.`);
  assertFlag('synchronous', synchronous);
  assertCount(WHERE, 'maxInFlight', maxInFlight);
  if (slowdown * maxInFlight >= 1) {
    throw invalid(`slowdown (${slowdown}) times maxInFlight (${maxInFlight}) must be below 1: training would stand still.`);
  }
  if (greatest(job.stall_s) + greatest(persist_s) === 0)
    throw invalid('stall_s and persist_s are 0: what costs nothing needs no interval.');
  assertFailures(job.failures);
  const length_s = wall_s ?? (work_s as number);
  if (expectedAbove(job.failures, MOST_FAILURES, length_s)) throw tooManyFailures(`that are expected in ${length_s} s`);
  return {
    wall_s,
    work_s,
    limit_s,
    stall_s: job.stall_s,
    persist_s,
    synchronous,
    slowdown,
    maxInFlight,
    restart_s,
    failures: job.failures,
  };
}

/** Whether more failures are expected in `length_s` than `count`. */
function expectedAbove(failures: Failures, count: number, length_s: number): boolean {
  if (failures.kind !== 'trace') return momentOf(failures.mtbf_s, count) < length_s;
  const { times_s, period_s = times_s.at(-1) ?? 0, randomStart = false } = failures;
  return randomStart && (times_s.length / period_s) * length_s > count;
}

/** The error for more failures in a run than {@link MOST_FAILURES}. */
export function tooManyFailures(which: string): HoldfastError {
  return invalid(
    `the failures of a run, ${which}, are more than ${MOST_FAILURES}, which there is no room for. Make the job shorter, or failures rarer.`,
  );
}

function assertFailures(failures: Failures): void {
  if (!Object.hasOwn(FAILURE_OPTIONS, failures?.kind))
    throw invalid(`failures.kind must be one of ${Object.keys(FAILURE_OPTIONS).join(', ')}, not ${String(failures?.kind)}.`);
  assertKnown(`failures of kind ${failures.kind}`, failures, FAILURE_OPTIONS[failures.kind]);
  const { warning_s = 0 } = failures;
  assertNotNegative(WHERE, { 'failures.warning_s': warning_s });
  if (failures.kind === 'trace') {
    assertTrace(failures);
    return;
  }
  assertVarying(WHERE, 'failures.mtbf_s', failures.mtbf_s, { positive: true });
  // Below 0.1 the mean is made of a few gaps that no run lives to see.
  if (failures.kind === 'weibull' && !(failures.shape >= 0.1 && failures.shape <= 100)) {
    throw invalid(`failures.shape must be a number from 0.1 to 100, not ${String(failures.shape)}.`);
  }
}

function assertTrace({ times_s, period_s, randomStart }: TraceFailures): void {
  if (randomStart !== undefined) assertFlag('failures.randomStart', randomStart);
  if (!Array.isArray(times_s)) throw invalid('failures.times_s must be a list of seconds.');
  let before = 0;
  for (const [i, time] of times_s.entries()) {
    if (!(Number.isFinite(time) && time >= before)) {
      throw invalid(`failures.times_s must ascend from 0: ${String(time)} at position ${i} comes after ${before}.`);
    }
    before = time;
  }
  if (period_s !== undefined && !(Number.isFinite(period_s) && period_s >= before && period_s > 0)) {
    throw invalid(`failures.period_s must be at least the time of the last failure (${before}), not ${String(period_s)}.`);
  }
  if (randomStart === true && !((period_s ?? before) > 0)) throw invalid('failures.randomStart needs a trace of some length, or period_s.');
}

function assertFlag(name: string, value: boolean): void {
  if (typeof value !== 'boolean') throw refuse(WHERE, name, value, 'true or false');
}

function invalid(message: string): HoldfastError {
  return new HoldfastError('ERR_INVALID_ARGUMENT', `${WHERE}: ${message}`);
}

/** What a save costs that is begun at a moment. */
export function costAt(job: CompleteJob, now_s: number): { readonly stall_s: number; readonly persist_s: number } {
  const stall_s = valueAt(job.stall_s, now_s);
  const persist_s = valueAt(job.persist_s, now_s);
  return job.synchronous ? { stall_s: stall_s + persist_s, persist_s: 0 } : { stall_s, persist_s };
}

/** Part of a warning that is rounding: 100 ms and 200 ms are not 300 ms to the last bit. */
export const WARNING_ROUNDING = 1e-9;

/** Whether the warning of a failure leaves time for a save that is begun at a moment, while no other is on its way. */
export function isWarningOfUse(job: CompleteJob, now_s: number): boolean {
  const { stall_s, persist_s } = costAt(job, now_s);
  const { warning_s = 0 } = job.failures;
  return warning_s > 0 && stall_s + persist_s <= warning_s * (1 + WARNING_ROUNDING);
}

/** M at a moment; of a trace its mean, `undefined` where it has no failures. */
export function mtbfAt({ failures }: CompleteJob, now_s: number): number | undefined {
  if (failures.kind !== 'trace') return valueAt(failures.mtbf_s, now_s);
  const { times_s, period_s = times_s.at(-1) ?? 0 } = failures;
  return times_s.length === 0 || period_s === 0 ? undefined : period_s / times_s.length;
}
