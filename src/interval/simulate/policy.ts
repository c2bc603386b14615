/** What decides, in a simulated run, when to save. */
import { HoldfastError } from '../../errors.js';
import { assertPositive } from '../checks.js';
import { effectiveCost_s, inFlightFloor_s } from '../floors.js';
import { dalyFirstInterval_s, dalyHigherInterval_s, exactInterval_s, type SaveAndFailure, youngInterval_s } from '../optimal.js';
import { type CompleteJob, costAt, mtbfAt } from './job.js';

/** A policy, for any number of runs. */
export interface SimulatedPolicy {
  readonly name: string;
  /** Called once for every simulated run. */
  start(context: { readonly job: CompleteJob }): PolicyRun;
  /** The one interval that it keeps for this job, in seconds of work, if it keeps one: such runs take less time to simulate. */
  constant_s?(job: CompleteJob): number | undefined;
}

/** A policy within one run. `now_s` is wall time since the job began. */
export interface PolicyRun {
  /** Seconds of work from now until the next save is begun; asked at the start, after every save and after every restart. */
  next_s(clock: { readonly now_s: number }): number;
  /** A save is durable. `stall_s` is how long training waited for it, for its turn to be persisted included. */
  saved?(save: { readonly stall_s: number; readonly persist_s: number; readonly slowdown: number; readonly now_s: number }): void;
  /** The job has failed. `uptime_s`: since the run or its last restart began. */
  failed?(failure: { readonly uptime_s: number; readonly now_s: number }): void;
  /** A restart is through, and training goes on. */
  restored?(restore: { readonly restart_s: number; readonly now_s: number }): void;
}

/** Throws `ERR_INVALID_ARGUMENT` unless a policy has `start`, which runs are made of. */
export function assertPolicy(policy: SimulatedPolicy): void {
  if (typeof policy === 'object' && policy !== null && typeof policy.start === 'function') return;
  throw invalid('A policy must be an object with start(), such as fixed(600).');
}

/** Throws `ERR_INVALID_ARGUMENT` unless what a policy gave can be worked for. */
export function assertInterval(name: string, interval_s: number, now_s: number): void {
  if (Number.isFinite(interval_s) && interval_s > 0) return;
  throw invalid(
    `The policy ${name} gave ${String(interval_s)} as seconds until the next save, at ${now_s} s. It must be a finite number above 0.`,
  );
}

/** A formula for the interval. */
export type FormulaName = 'young' | 'dalyFirst' | 'dalyHigher' | 'exact';

const FORMULAS: Readonly<Record<FormulaName, (costs: SaveAndFailure) => number>> = {
  young: youngInterval_s,
  dalyFirst: dalyFirstInterval_s,
  dalyHigher: dalyHigherInterval_s,
  exact: exactInterval_s,
};

/** The same interval throughout, in seconds of work. Throws `ERR_INVALID_ARGUMENT` unless it is above 0. */
export function fixed(interval_s: number, name = `fixed:${interval_s}s`): SimulatedPolicy {
  assertPositive('fixed', { interval_s });
  return { name, start: () => ({ next_s: () => interval_s }), constant_s: () => interval_s };
}

/**
 * What a formula makes of the job's cost c + σP and of its mean time between failures as they are at its beginning, or of those that are
 * given: it does not learn. Throws `ERR_INVALID_ARGUMENT` where the formula has no interval, as Daly's first order for c ≥ 2M.
 */
export function formula(name: FormulaName, assumed: { readonly cost_s?: number; readonly mtbf_s?: number } = {}): SimulatedPolicy {
  if (!Object.hasOwn(FORMULAS, name))
    throw invalid(`There is no formula "${String(name)}". There are ${Object.keys(FORMULAS).join(', ')}.`);
  const constant_s = (job: CompleteJob) => {
    const interval_s = FORMULAS[name]({ cost_s: assumed.cost_s ?? costOf(job, 0), mtbf_s: assumed.mtbf_s ?? knownMtbf(name, job, 0) });
    if (interval_s === 0)
      throw invalid(`The formula ${name} has no interval for saves that cost twice the mean time between failures or more. Leave it out.`);
    return interval_s;
  };
  return {
    name,
    start: ({ job }) => {
      const interval_s = constant_s(job);
      return { next_s: () => interval_s };
    },
    constant_s,
  };
}

/** The oracle's interval, by M, for as long as saves cost nothing: half of it is lost with a failure, and shorter ones would take for ever to simulate. */
const FREE = 1e-3;

/** Knows c, σ, P and M at every moment, which nobody does: the exact interval for them, and no shorter than P/N − c − σP. */
export function oracle(): SimulatedPolicy {
  const best = (job: CompleteJob, now_s: number) => {
    const cost_s = costOf(job, now_s);
    const shortest = () => (costAt(job, now_s).persist_s === 0 ? FREE * knownMtbf('oracle', job, now_s) : 0);
    // What takes nothing from training would be done all the time.
    const interval_s = cost_s === 0 ? shortest() : exactInterval_s({ cost_s, mtbf_s: knownMtbf('oracle', job, now_s) });
    return Math.max(interval_s, inFlightFloor_s({ ...costAt(job, now_s), slowdown: job.slowdown, maxInFlight: job.maxInFlight }));
  };
  const isConstant = ({ stall_s, persist_s, failures }: CompleteJob) =>
    typeof stall_s === 'number' && typeof persist_s === 'number' && (failures.kind === 'trace' || typeof failures.mtbf_s === 'number');
  return {
    name: 'oracle',
    start: ({ job }) => {
      const constant = isConstant(job) ? best(job, 0) : undefined;
      return { next_s: ({ now_s }) => constant ?? best(job, now_s) };
    },
    constant_s: (job) => (isConstant(job) ? best(job, 0) : undefined),
  };
}

/** What a save takes from training in the end: c + σP. */
export function costOf(job: CompleteJob, now_s: number): number {
  return effectiveCost_s({ ...costAt(job, now_s), slowdown: job.slowdown });
}

function knownMtbf(name: string, job: CompleteJob, now_s: number): number {
  const mtbf_s = mtbfAt(job, now_s);
  if (mtbf_s !== undefined) return mtbf_s;
  throw invalid(`The policy ${name} needs a mean time between failures, and the trace has none. Use a fixed interval.`);
}

function invalid(message: string): HoldfastError {
  return new HoldfastError('ERR_INVALID_ARGUMENT', message);
}
