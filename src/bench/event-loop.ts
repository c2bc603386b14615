/** How late a thread's timers are: what anything else on its event loop has to wait. */

/** One firing of the probe. */
export interface Turn {
  /** `performance.now()`. */
  readonly at: number;
  /** Milliseconds later than it was due. */
  readonly late: number;
}

/**
 * A timer that looks at the clock. Not `perf_hooks.monitorEventLoopDelay`: that begins to count at its second firing, so it misses a
 * block that follows at once, and its figures contain the interval.
 */
export class EventLoopProbe {
  private readonly timer: NodeJS.Timeout;
  private last = performance.now();
  /** The longest delay so far, in milliseconds. */
  longestMs = 0;
  readonly turns: Turn[] = [];

  /** Begins to watch. `record` keeps every firing. */
  constructor(
    private readonly intervalMs = 1,
    private readonly record = false,
  ) {
    this.timer = setInterval(() => this.look(), intervalMs);
  }

  /** Ends; a delay that is still going on counts. */
  stop(): void {
    clearInterval(this.timer);
    this.look();
  }

  private look(): void {
    const at = performance.now();
    const late = Math.max(0, at - this.last - this.intervalMs);
    this.last = at;
    this.longestMs = Math.max(this.longestMs, late);
    if (this.record) this.turns.push({ at, late });
  }
}
