/** What came of one simulated run. */

/** Where the wall time went that was not work: `work_s` and these four add up to `wall_s`. */
export interface LostSeconds {
  /** Training waited for saves: stalls, turns to be persisted, the last save of a job, and the end after a warning. */
  readonly saving_s: number;
  /** Work that was done and lost with a failure. */
  readonly rework_s: number;
  /** Restarts, also those that failed. */
  readonly restart_s: number;
  /** What training lost of its speed while saves were persisted. */
  readonly slowdown_s: number;
}

/** One run of a job under one policy. */
export interface SimulatedRun {
  readonly wall_s: number;
  /** Work that was not lost. */
  readonly work_s: number;
  /** `work_s / wall_s`: the effective training time ratio (ETTR). */
  readonly usefulFraction: number;
  /** Saves that became durable. */
  readonly saves: number;
  readonly failures: number;
  readonly lost: LostSeconds;
  /**
   * Mean work between two saves, in seconds: of the segments that ended in a snapshot, durable or not. Work that a failure cut off is in none, and one
   * that a warning cut short counts for what it was to be. `undefined` without a snapshot.
   */
  readonly meanInterval_s: number | undefined;
  /** False if a job of `work_s` was given up at its `limit_s`. */
  readonly finished: boolean;
}

/** A run's accounts while it goes on. */
export class Accounts {
  work_s = 0;
  saving_s = 0;
  rework_s = 0;
  restart_s = 0;
  slowdown_s = 0;
  saves = 0;
  /** Snapshots that were taken, durable or not, and the work that was to be done before each. */
  begun = 0;
  intervals_s = 0;
  failures = 0;

  close(wall_s: number, finished: boolean): SimulatedRun {
    const { work_s, saves, failures, saving_s, rework_s, restart_s, slowdown_s } = this;
    const lost = { saving_s, rework_s, restart_s, slowdown_s };
    const meanInterval_s = this.begun === 0 ? undefined : this.intervals_s / this.begun;
    return { wall_s, work_s, usefulFraction: work_s / wall_s, saves, failures, lost, meanInterval_s, finished };
  }
}
