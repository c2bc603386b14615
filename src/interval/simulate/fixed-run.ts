/** A run with one interval and constant costs: arithmetic from failure to failure, whatever the number of saves between them. */
import type { FailureTimes } from './failure-times.js';
import { type CompleteJob, costAt } from './job.js';
import { Accounts, type SimulatedRun } from './outcome.js';
import { valueAt } from './varying.js';

/** Part of a segment that is rounding. */
const NOTHING = 1e-9;

/** What has gone on in a time without failures. */
interface Uptime {
  /** Snapshots that were taken, and how many of them are durable. */
  readonly taken: number;
  readonly durable: number;
  /** Work, that after the last snapshot included. */
  readonly work_s: number;
  readonly slowdown_s: number;
}

/** What `passed_s` seconds after the beginning or a restart make, with `left_s` of work left. */
type UptimeOf = (passed_s: number, left_s: number) => Uptime;

/** Whether {@link runFixed} can stand in for the events. */
export function isFixed(job: CompleteJob, interval_s: number): boolean {
  if (typeof job.stall_s !== 'number' || typeof job.persist_s !== 'number' || (job.failures.warning_s ?? 0) > 0) return false;
  if (job.work_s !== undefined) return isPlain(job) && isInTurn(job, interval_s);
  // Either training keeps its speed, or a save is durable before the next one is begun.
  return isPlain(job) || interval_s >= (1 - job.slowdown) * costAt(job, 0).persist_s;
}

function isPlain({ slowdown, synchronous }: CompleteJob): boolean {
  return synchronous || slowdown === 0;
}

/** No save waits for its turn to be persisted. */
function isInTurn(job: CompleteJob, interval_s: number): boolean {
  const { stall_s, persist_s } = costAt(job, 0);
  return job.maxInFlight * (interval_s + stall_s) >= persist_s;
}

/** Simulates a job for which {@link isFixed} holds, with a save every `interval_s` of work. */
export function runFixed(job: CompleteJob, interval_s: number, failures: FailureTimes): SimulatedRun {
  const end_s = job.wall_s ?? job.limit_s;
  const { persist_s } = costAt(job, 0);
  const uptimeOf = uptimesOf(job, interval_s);
  const accounts = new Accounts();
  let now_s = 0;
  while (now_s < end_s) {
    const failure_s = failures.at(accounts.failures);
    const passed_s = Math.min(failure_s, end_s) - now_s;
    const left_s = (job.work_s ?? Number.POSITIVE_INFINITY) - accounts.work_s;
    const segments = segmentsOf(left_s, interval_s);
    const needed_s = lastTurn_s(job, interval_s, left_s, segments) + persist_s;
    if (needed_s <= passed_s) {
      accounts.work_s += left_s;
      accounts.saving_s += needed_s - left_s;
      accounts.saves += segments;
      accounts.begun += segments;
      accounts.intervals_s += left_s;
      return accounts.close(now_s + needed_s, true);
    }
    const { taken, durable, work_s, slowdown_s } = uptimeOf(passed_s, left_s);
    accounts.saves += durable;
    accounts.begun += taken;
    // The last segment of a job is shorter.
    accounts.intervals_s += Math.min(taken * interval_s, left_s);
    accounts.slowdown_s += slowdown_s;
    accounts.saving_s += passed_s - work_s - slowdown_s;
    if (failure_s >= end_s) {
      accounts.work_s += work_s;
      break;
    }
    accounts.work_s += durable * interval_s;
    accounts.rework_s += work_s - durable * interval_s;
    now_s = restart(job, accounts, failures, failure_s, end_s);
  }
  return accounts.close(end_s, job.wall_s !== undefined);
}

/** Restarts until training goes on, or fails again, or to the end of the run; gives when that is. */
function restart(job: CompleteJob, accounts: Accounts, failures: FailureTimes, failed_s: number, end_s: number): number {
  accounts.failures += 1;
  const up_s = Math.min(failed_s + valueAt(job.restart_s, failed_s), failures.at(accounts.failures), end_s);
  accounts.restart_s += up_s - failed_s;
  return up_s;
}

/** How many saves it takes to do `left_s` of work. */
function segmentsOf(left_s: number, interval_s: number): number {
  return Math.ceil(left_s / interval_s - NOTHING);
}

/** When the last save of a job begins to be persisted: its segment is shorter than the others, and it may have to wait for those before it. */
function lastTurn_s(job: CompleteJob, interval_s: number, left_s: number, segments: number): number {
  const { stall_s, persist_s } = costAt(job, 0);
  const taken_s = left_s + segments * stall_s;
  const before = segments - job.maxInFlight;
  return before > 0 ? Math.max(taken_s, before * (interval_s + stall_s) + persist_s) : taken_s;
}

function uptimesOf(job: CompleteJob, interval_s: number): UptimeOf {
  if (!isPlain(job)) return slowed(job, interval_s);
  return isInTurn(job, interval_s) ? plain(job, interval_s) : crowded(job, interval_s);
}

/** Snapshot k is taken at k(τ + c), and durable P later. */
function plain(job: CompleteJob, interval_s: number): UptimeOf {
  const { stall_s, persist_s } = costAt(job, 0);
  const cycle_s = interval_s + stall_s;
  return (passed_s, left_s) => {
    const complete = segmentsOf(left_s, interval_s) - 1;
    const whole = Math.min(Math.floor(passed_s / cycle_s), complete);
    // The last segment of a job is shorter.
    const segment_s = whole === complete ? left_s - whole * interval_s : interval_s;
    const since_s = passed_s - whole * cycle_s;
    return {
      taken: whole === complete && passed_s >= lastTurn_s(job, interval_s, left_s, complete + 1) ? whole + 1 : whole,
      durable: Math.min(complete, Math.max(0, Math.floor((passed_s - persist_s) / cycle_s))),
      work_s: whole * interval_s + Math.min(since_s, segment_s),
      slowdown_s: 0,
    };
  };
}

/** Every save slows down the segment after it: the first snapshot is taken at τ + c, the others τ + c + σP after one another. */
function slowed(job: CompleteJob, interval_s: number): UptimeOf {
  const { stall_s, persist_s } = costAt(job, 0);
  const first_s = interval_s + stall_s;
  const cycle_s = first_s + job.slowdown * persist_s;
  const count = (passed_s: number) => (passed_s < first_s ? 0 : 1 + Math.floor((passed_s - first_s) / cycle_s));
  return (passed_s) => {
    const taken = count(passed_s);
    if (taken === 0) return { taken, durable: 0, work_s: Math.min(passed_s, interval_s), slowdown_s: 0 };
    const since_s = passed_s - first_s - (taken - 1) * cycle_s;
    const slow_s = job.slowdown * Math.min(since_s, persist_s);
    return {
      taken,
      durable: count(passed_s - persist_s),
      work_s: taken * interval_s + Math.min(since_s - slow_s, interval_s),
      slowdown_s: (taken - 1) * job.slowdown * persist_s + slow_s,
    };
  };
}

/** More saves than can be persisted: in every P seconds N of them have their turn, at distances of τ + c; then training waits. */
function crowded(job: CompleteJob, interval_s: number): UptimeOf {
  const { stall_s, persist_s } = costAt(job, 0);
  const cycle_s = interval_s + stall_s;
  const { maxInFlight } = job;
  const count = (passed_s: number) => {
    const rounds = Math.floor(passed_s / persist_s);
    return Math.max(0, rounds * maxInFlight + Math.min(maxInFlight, Math.floor((passed_s - rounds * persist_s) / cycle_s)));
  };
  return (passed_s) => {
    const taken = count(passed_s);
    const rounds = Math.max(0, Math.ceil(taken / maxInFlight) - 1);
    const lastTurn_s = rounds * persist_s + (taken - rounds * maxInFlight) * cycle_s;
    return {
      taken,
      durable: count(passed_s - persist_s),
      work_s: taken * interval_s + Math.min(passed_s - lastTurn_s, interval_s),
      slowdown_s: 0,
    };
  };
}
