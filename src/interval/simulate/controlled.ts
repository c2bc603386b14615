/** The controller that a manager uses for `auto`, as a policy of the simulator: it is told what a run would tell it, and nothing else. */
import { type ControllerOptions, IntervalController } from '../controller.js';
import type { CompleteJob } from './job.js';
import type { PolicyRun, SimulatedPolicy } from './policy.js';

/** Options as for `auto`, in seconds. The job says how many saves may be in flight. */
export function controlled(options: ControllerOptions = {}): SimulatedPolicy {
  return { name: 'auto', start: ({ job }) => new ControlledRun(job, options) };
}

class ControlledRun implements PolicyRun {
  private readonly controller: IntervalController;
  /** Until when it was told that the run was up. */
  private told_s = 0;
  private isUp = true;

  constructor(job: CompleteJob, options: ControllerOptions) {
    this.controller = new IntervalController({ ...options, maxInFlight: job.maxInFlight });
  }

  next_s(): number {
    return this.controller.interval_s;
  }

  saved({ stall_s, persist_s, slowdown, now_s }: { stall_s: number; persist_s: number; slowdown: number; now_s: number }): void {
    this.expose(now_s);
    this.controller.saved({ stall_s, persist_s, slowdown });
  }

  failed({ now_s }: { now_s: number }): void {
    // A manager counts no life that has not trained: one that dies in its restart says nothing.
    if (!this.isUp) return;
    this.isUp = false;
    this.expose(now_s);
    this.controller.failed();
  }

  restored({ restart_s, now_s }: { restart_s: number; now_s: number }): void {
    this.isUp = true;
    this.told_s = now_s;
    this.controller.restored(restart_s);
  }

  private expose(now_s: number): void {
    this.controller.exposed(Math.max(0, now_s - this.told_s));
    this.told_s = Math.max(this.told_s, now_s);
  }
}
