/** Writes down what a run lives through, in the directory's history, and gives what is known of it. One per writer of a directory. */
import { HistoryLog } from '../catalog/history.js';
import type { RunHistory } from '../format/history.js';
import type { HistoryEvent } from '../format/history-events.js';
import { monotonicMs, now } from '../system.js';

/** An event without its times. */
export type Untimed<Event> = Event extends HistoryEvent ? Omit<Event, 'at_ms' | 'up_s'> : never;

/** Signs of life become rarer with age: each life is known to this share of its length, with a few hundred lines a month. */
const GROWTH = 1.05;

/** Whether this process has opened a directory to write before. */
let hasOpened = false;

export class RunRecord {
  private readonly startedMs = monotonicMs();
  private readonly isFirst = !hasOpened;
  private step: number | undefined;
  /** When a sign of life is due. */
  private nextSign_s = 0;
  private opened = false;
  private closed = false;

  private constructor(
    private readonly log: HistoryLog,
    private readonly run: string,
  ) {
    hasOpened = true;
  }

  /** Never rejects: a run goes on without its history. */
  static async open(directory: string, run: string): Promise<RunRecord> {
    return new RunRecord(await HistoryLog.open(directory), run);
  }

  /** Seconds since the directory was opened. */
  get up_s(): number {
    return (monotonicMs() - this.startedMs) / 1000;
  }

  /** Seconds that it took to get here: since the process began, or, in one that has done other things before, since the directory was opened. */
  get restart_s(): number {
    return this.isFirst ? process.uptime() : this.up_s;
  }

  /** Whether this life has begun to leave a trace. */
  get isOpen(): boolean {
    return this.opened;
  }

  get history(): RunHistory {
    return this.log.history;
  }

  add(event: Untimed<HistoryEvent>): void {
    // The directory may be another writer's by now.
    if (this.closed) return;
    const { up_s } = this;
    // Who only opens a directory, to look or to prune, leaves no trace.
    if (!this.opened) this.log.add({ event: 'opened', run: this.run, at_ms: Math.round(now() - up_s * 1000), up_s: 0 });
    this.opened = true;
    this.log.add({ ...event, at_ms: now(), up_s } as HistoryEvent);
    this.nextSign_s = up_s * GROWTH + 1;
  }

  /** Training has come to `step`. */
  reached(step: number): void {
    const isFirst = this.step === undefined;
    this.step = step;
    if (isFirst || this.up_s >= this.nextSign_s) this.add({ event: 'alive', step });
  }

  /** Until everything so far was written, or could not be. */
  flush(): Promise<void> {
    return this.log.flush();
  }

  /** It ends by itself. */
  async end(event: 'closed' | 'preempted'): Promise<void> {
    if (this.opened) this.add({ event, ...(this.step === undefined ? {} : { step: this.step }) });
    this.closed ||= event === 'closed';
    await this.log.flush();
  }
}
