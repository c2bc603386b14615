/** A run, event by event: for policies that answer what they see, costs that change, and warnings. */
import type { FailureTimes } from './failure-times.js';
import { type CompleteJob, costAt, isWarningOfUse, WARNING_ROUNDING } from './job.js';
import { Accounts, type SimulatedRun } from './outcome.js';
import { assertInterval, type PolicyRun, type SimulatedPolicy } from './policy.js';
import { valueAt } from './varying.js';

/** A snapshot on its way to the disk. */
interface InFlight {
  /** The work that is in it. */
  readonly work_s: number;
  readonly durableAt_s: number;
  readonly stall_s: number;
  readonly persist_s: number;
}

/** Work that a job lacks and that is no work: rounding. */
const NOTHING = 1e-9;

/** What some sums of moments are wrong by. */
const CLOCK_ROUNDING = 4 * Number.EPSILON;

export function runByEvents(job: CompleteJob, policy: SimulatedPolicy, failures: FailureTimes): SimulatedRun {
  return new EventRun(job, policy, failures).run();
}

class EventRun {
  readonly #job: CompleteJob;
  readonly #failures: FailureTimes;
  readonly #name: string;
  readonly #policy: PolicyRun;
  readonly #accounts = new Accounts();
  /** Where the run is ended from outside. */
  readonly #end_s: number;
  #now_s = 0;
  /** Work in a durable checkpoint; `#accounts.work_s` is what training has in hand. */
  #durable_s = 0;
  /** In the order in which they become durable. */
  #inFlight: InFlight[] = [];
  /** Number and time of the next failure. */
  #next = 0;
  #failure_s = 0;
  /** When the next failure is announced, if that is of use. */
  #warned_s = Number.POSITIVE_INFINITY;
  /** What may be after an announced failure by rounding only. */
  #rounding_s = 0;
  /** The work that the policy wants before the next save. */
  #segment_s = 0;
  /** When the run or its last restart began. */
  #up_s = 0;

  constructor(job: CompleteJob, policy: SimulatedPolicy, failures: FailureTimes) {
    this.#job = job;
    this.#failures = failures;
    this.#name = policy.name;
    this.#policy = policy.start({ job });
    this.#end_s = job.wall_s ?? job.limit_s;
  }

  run(): SimulatedRun {
    this.#expect(0);
    let finished = false;
    while (this.#now_s < this.#end_s && !finished) {
      if (this.#train() && this.#save()) finished = this.#isDone() && this.#finish();
      else if (this.#now_s < this.#end_s) this.#fail();
    }
    return this.#accounts.close(this.#now_s, finished || this.#job.wall_s !== undefined);
  }

  /** Looks for the failure number `which`. */
  #expect(which: number): void {
    const { warning_s = 0 } = this.#job.failures;
    this.#next = which;
    this.#failure_s = this.#failures.at(which);
    this.#warned_s = warning_s > 0 ? Math.max(this.#now_s, this.#failure_s - warning_s) : Number.POSITIVE_INFINITY;
    // Of the warning, or of the clock: a short warning is but few of its last digits.
    this.#rounding_s = warning_s > 0 ? Math.max(WARNING_ROUNDING * warning_s, CLOCK_ROUNDING * this.#failure_s) : 0;
  }

  #isDone(): boolean {
    const { work_s } = this.#job;
    return work_s !== undefined && work_s - this.#accounts.work_s <= NOTHING * work_s;
  }

  /** Trains until the policy wants a save; false if the run fails or ends before that. */
  #train(): boolean {
    const interval_s = this.#policy.next_s({ now_s: this.#now_s });
    assertInterval(this.#name, interval_s, this.#now_s);
    const { work_s = Number.POSITIVE_INFINITY, slowdown } = this.#job;
    let left = Math.min(interval_s, work_s - this.#accounts.work_s);
    this.#segment_s = left;
    while (left > 0) {
      const speed = 1 - slowdown * this.#inFlight.length;
      const stop_s = Math.min(this.#failure_s, this.#end_s, this.#warned_s);
      const full_s = this.#now_s + left / speed;
      const until_s = Math.min(full_s, stop_s, this.#inFlight[0]?.durableAt_s ?? full_s);
      const passed = until_s - this.#now_s;
      const done = passed * speed;
      this.#accounts.work_s += done;
      this.#accounts.slowdown_s += passed - done;
      // What rounding leaves over is too little for the clock to go on.
      left = until_s === full_s || this.#isDone() ? 0 : left - done;
      this.#moveTo(until_s);
      if (until_s === Math.min(this.#failure_s, this.#end_s)) return false;
      // A save that is due at the moment of the warning is the last one.
      if (until_s === this.#warned_s && left > 0 && this.#saveWarned()) return false;
    }
    return true;
  }

  /** Saves; false if the run fails or ends before the snapshot is taken and has its turn. */
  #save(): boolean {
    const { stall_s, persist_s } = costAt(this.#job, this.#now_s);
    const begun_s = this.#now_s;
    if (!this.#wait(this.#rounded(begun_s + stall_s))) return false;
    while (this.#inFlight.length >= this.#job.maxInFlight) {
      if (!this.#wait((this.#inFlight[0] as InFlight).durableAt_s)) return false;
    }
    this.#accounts.begun += 1;
    this.#accounts.intervals_s += this.#segment_s;
    this.#inFlight.push({
      work_s: this.#accounts.work_s,
      durableAt_s: this.#rounded(this.#now_s + persist_s),
      stall_s: this.#now_s - begun_s,
      persist_s,
    });
    this.#inFlight.sort((a, b) => a.durableAt_s - b.durableAt_s);
    this.#moveTo(this.#now_s);
    // Warned while it saved: this was its last save, and it ends. With all of its work in it the job is done before that.
    return this.#now_s < this.#warned_s || this.#isDone() || !this.#awaitFailure();
  }

  /** A moment, or that of the announced failure if it is after it by rounding only. */
  #rounded(moment_s: number): number {
    const late_s = moment_s - this.#failure_s;
    return late_s > 0 && late_s <= this.#rounding_s ? this.#failure_s : moment_s;
  }

  /** Training waits for saving until a moment; false if the run fails or ends before it. */
  #wait(until_s: number): boolean {
    const reached_s = Math.min(until_s, this.#failure_s, this.#end_s);
    this.#accounts.saving_s += reached_s - this.#now_s;
    this.#moveTo(reached_s);
    return reached_s === until_s;
  }

  /**
   * A failure was announced: saves at once and waits for it, as a process ends that has got SIGTERM. False if there is not enough time: it then
   * goes on as if it had not been told.
   */
  #saveWarned(): boolean {
    const { stall_s, persist_s } = costAt(this.#job, this.#now_s);
    const turn_s = this.#inFlight.length < this.#job.maxInFlight ? 0 : (this.#inFlight[0] as InFlight).durableAt_s;
    if (this.#rounded(Math.max(this.#now_s + stall_s, turn_s) + persist_s) > this.#failure_s) {
      this.#warned_s = Number.POSITIVE_INFINITY;
      return false;
    }
    return !this.#save();
  }

  /** Waits for the failure that was announced, if all work is durable by then; otherwise gives false, and goes on. */
  #awaitFailure(): boolean {
    if ((this.#inFlightWithAll()?.durableAt_s ?? 0) > this.#failure_s) {
      this.#warned_s = Number.POSITIVE_INFINITY;
      return false;
    }
    this.#wait(this.#failure_s);
    return true;
  }

  /** The last save of a job must be durable; false if the run fails or ends before. */
  #finish(): boolean {
    const last = this.#inFlightWithAll();
    if (last === undefined || this.#wait(last.durableAt_s)) return true;
    if (this.#now_s < this.#end_s) this.#fail();
    return false;
  }

  /** The snapshot that has all work in it, of several the one that is durable first; there is none if it is so already. */
  #inFlightWithAll(): InFlight | undefined {
    return this.#inFlight.find(({ work_s }) => work_s === this.#accounts.work_s);
  }

  /** The clock goes on, and what becomes durable by then is. */
  #moveTo(now_s: number): void {
    this.#now_s = now_s;
    while (this.#inFlight.length > 0) {
      const { work_s, durableAt_s, stall_s, persist_s } = this.#inFlight[0] as InFlight;
      if (durableAt_s > now_s) return;
      this.#inFlight.shift();
      this.#durable_s = Math.max(this.#durable_s, work_s);
      this.#accounts.saves += 1;
      this.#policy.saved?.({ stall_s, persist_s, slowdown: this.#job.slowdown, now_s: durableAt_s });
    }
  }

  /** The job has failed at this moment; comes back when training can go on, or the run is at its end. */
  #fail(): void {
    this.#accounts.rework_s += this.#accounts.work_s - this.#durable_s;
    this.#accounts.work_s = this.#durable_s;
    this.#inFlight = [];
    for (;;) {
      this.#accounts.failures += 1;
      this.#policy.failed?.({ uptime_s: this.#now_s - this.#up_s, now_s: this.#now_s });
      this.#up_s = this.#now_s;
      this.#expect(this.#next + 1);
      const restart_s = valueAt(this.#job.restart_s, this.#now_s);
      const up_s = this.#now_s + restart_s;
      // Warned while it restarts, it has nothing to save, and does not begin.
      const fails = this.#failure_s < up_s || (this.#warned_s <= up_s && isWarningOfUse(this.#job, up_s));
      const until_s = Math.min(fails ? this.#failure_s : up_s, this.#end_s);
      this.#accounts.restart_s += until_s - this.#now_s;
      this.#now_s = until_s;
      if (until_s === this.#end_s) return;
      if (fails) continue;
      if (this.#warned_s <= up_s) this.#warned_s = Number.POSITIVE_INFINITY;
      this.#policy.restored?.({ restart_s, now_s: this.#now_s });
      return;
    }
  }
}
