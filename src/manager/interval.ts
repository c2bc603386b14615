/** The checkpoint interval of one manager: what is measured goes to the controller and into the history, and what it chose can be asked for. */
import { hasLostWork, type Life, usefulShare } from '../format/history.js';
import { type ControllerOptions, IntervalController, LAST_SAVES } from '../interval/controller.js';
import { explainInterval, type IntervalExplanation } from '../interval/explain.js';
import { type MeasuredSave, SaveMeter } from '../interval/save-meter.js';
import type { IntervalFacts } from '../policy/trigger.js';
import { harmlessly } from '../saver/harmlessly.js';
import { monotonicMs } from '../system.js';
import type { WriterCore } from './core.js';
import type { SaveResult } from './save.js';

/** Another interval was chosen. */
export interface IntervalChange {
  /** Real path of the directory of checkpoints. */
  readonly directory: string;
  /** Seconds of work between saves, before and now. */
  readonly previous_s: number;
  readonly interval_s: number;
  readonly explanation: IntervalExplanation;
}

/** A save that is being measured. */
interface Measured {
  readonly step: number;
  readonly bytes: number;
  /** When training could go on, but for what slows it down: seconds by the monotonic clock. */
  readonly released_s: number;
  /** What is believed of the slowdown where it cannot be seen. */
  readonly slowdown: number | undefined;
}

/** `manager.interval`: what the interval is, and why. */
export class RunInterval {
  private readonly controller: IntervalController;
  private readonly meter = new SaveMeter<Measured>((save, cost) => this.measured(save, cost));
  /** Of this life, what the controller has been told of. */
  private exposed_s = 0;
  /** When the last save let training go on. */
  private working_s = monotonicMs() / 1000;
  private trained = false;
  /** What training will go on from, if nothing else is restored after all. */
  private restore: { readonly step: number; readonly restart_s: number } | undefined;
  /** The last life before this one that has trained. */
  private readonly before: Life | undefined;
  /** Called with every change. */
  onChange: (change: IntervalChange) => void = () => {};

  /** @hidden */
  constructor(
    private readonly core: WriterCore,
    private readonly options: ControllerOptions,
    /** Whether the manager's trigger goes by it. */
    private readonly isInForce: boolean,
  ) {
    const { lives, saves, restores } = core.record.history;
    this.controller = new IntervalController(options);
    for (const save of saves.slice(-LAST_SAVES)) this.controller.saved(save);
    // The life that goes on is counted as it goes.
    const past = (core.record.isOpen ? lives.slice(0, -1) : lives).filter(({ trained }) => trained);
    const last = past.at(-1);
    // The last one may have died before it could tell what its last save had cost.
    this.before = last === undefined ? undefined : { ...last, hasSaved: last.hasSaved || core.newestStep > (last.restoredStep ?? -1) };
    for (const life of past) {
      const { trained_s: seconds, hasSaved, end } = life === last ? (this.before as Life) : life;
      // An older process that is still open has died: this one has its lock.
      this.controller.lived({ seconds, hasSaved, hasFailed: end !== 'ended' });
    }
    for (const { restart_s } of restores) this.controller.restored(restart_s);
  }

  /** Seconds of work from the end of one save to the beginning of the next. */
  get interval_s(): number {
    return this.controller.interval_s;
  }

  /** Why it is what it is, what it costs and what a failure would lose: `text`, and all of it as numbers. Also where another trigger decides: then it is what `auto` would choose. */
  explain(): IntervalExplanation {
    if (!this.meter.hearsSteps) this.meter.settle();
    this.expose();
    const step_s = this.meter.step_s ?? this.core.record.history.step_s;
    return explainInterval(this.controller.decision, {
      step_s,
      realisedEttr: usefulShare({ ...this.core.record.history, ...(step_s === undefined ? {} : { step_s }) }),
      isMtbfGiven: this.options.mtbf_s !== undefined,
      isInForce: this.isInForce,
    });
  }

  /** @hidden Training has come to `step`. */
  reached(step: number): void {
    this.begin();
    this.core.record.reached(step);
    this.meter.reached(step, monotonicMs() / 1000);
  }

  /** @hidden For a trigger. */
  get facts(): IntervalFacts {
    const { interval_s, reason } = this.controller;
    const { step_s, needsSteps, isMeasuringFirst } = this.meter;
    const isMeasuring = needsSteps || (reason === 'firstSave' && isMeasuringFirst);
    return { interval_s, reason, worked_s: monotonicMs() / 1000 - this.working_s, step_s, isMeasuring };
  }

  /** @hidden A save was accepted. */
  accepted(step: number, outcome: Promise<SaveResult>): void {
    this.begin();
    this.meter.accepted();
    this.working_s = monotonicMs() / 1000;
    const accepted_s = this.working_s;
    outcome.then(
      (result) => harmlessly('Measuring a save', () => this.committed(result, step, accepted_s)),
      () => this.meter.dropped(),
    );
  }

  /** @hidden Training will go on from a checkpoint, unless it has begun already or somebody only looks. */
  restored(step: number, seconds: number): void {
    if (this.trained) return;
    // Loading was no work that a failure could lose.
    this.working_s = monotonicMs() / 1000;
    const { record } = this.core;
    const { restart_s } = record;
    record.add({ event: 'restored', step, seconds, restart_s });
    this.restore = { step, restart_s };
  }

  /** @hidden No more saves will come. */
  finish(): void {
    this.meter.settle();
  }

  /** @hidden Nor will this process: it was told to end, and has saved what it could. */
  async preempted(): Promise<void> {
    this.finish();
    await this.core.record.end('preempted');
  }

  /** Training begins. */
  private begin(): void {
    if (this.trained) return;
    this.trained = true;
    this.exposed_s = this.core.record.up_s;
    const { restore, before } = this;
    if (restore === undefined) return;
    this.notice(() => {
      // Only now it shows that what ended in good order had lost work.
      if (before !== undefined && hasLostWork(before, restore.step))
        this.controller.failed({ seconds: before.trained_s, hasSaved: before.hasSaved });
      this.controller.restored(restore.restart_s);
    });
  }

  private committed({ seconds, bytes }: SaveResult, step: number, accepted_s: number): void {
    const { stall, snapshot, total } = seconds;
    // Who calls `save` waits for all of it, as a rule; the steps will tell.
    const isAwaited = stall >= total;
    const stall_s = isAwaited ? Math.min(snapshot, total) : stall;
    const save = { step, bytes, released_s: accepted_s + stall_s, slowdown: isAwaited ? 1 : undefined };
    this.meter.committed(save, stall_s, Math.max(0, total - stall_s));
  }

  private measured({ step, bytes, released_s, slowdown: believed }: Measured, cost: MeasuredSave): void {
    const { stall_s, persist_s, slowdown = believed } = cost;
    this.working_s = Math.max(this.working_s, released_s + (slowdown ?? 0) * persist_s);
    const { step_s } = this.meter;
    this.core.record.add({
      event: 'saved',
      ...{ step, bytes, stall_s, persist_s },
      ...(slowdown === undefined ? {} : { slowdown }),
      ...(step_s === undefined ? {} : { step_s }),
    });
    this.tell(() => this.controller.saved({ stall_s, persist_s, slowdown }));
  }

  /** Tells the controller something about this life. */
  private tell(something: () => void): void {
    this.notice(() => {
      this.expose();
      something();
    });
  }

  /** If what the controller is told changes the interval, everybody else is told. */
  private notice(something: () => void): void {
    const previous_s = this.interval_s;
    something();
    const { interval_s } = this;
    if (interval_s === previous_s) return;
    const explanation = this.explain();
    if (this.isInForce) this.core.record.add({ event: 'interval', interval_s, reason: explanation.reason });
    this.onChange({ directory: this.core.directory, previous_s, interval_s, explanation });
  }

  private expose(): void {
    if (!this.trained) return;
    const { up_s } = this.core.record;
    this.controller.exposed(Math.max(0, up_s - this.exposed_s));
    this.exposed_s = up_s;
  }
}
