/** What a save costs training, seen from the training loop: how much longer the steps around it took. Pure: it is told the time. */
import { StepTime } from './step-time.js';

/** What became of a save, in seconds. */
export interface MeasuredSave {
  /** How long the call blocked the loop. */
  readonly stall_s: number;
  /** From then to the durable checkpoint. */
  readonly persist_s: number;
  /**
   * Share of that by which training was slower meanwhile; `undefined` where it was not to be seen. From −1 to 1: where steps are not all alike it is
   * as often too small as too large, and below zero where nothing was lost. Only a mean over saves is to be kept from being negative.
   */
  readonly slowdown: number | undefined;
}

/** The time of a step is looked for in this share of what lies between two saves: some such blocks are known early, and each has what is irregular in it. */
const BLOCK_SHARE = 1 / 4;

/** What a step takes while nothing is saved is forgotten after so many windows: training changes. */
const REMEMBERED_WINDOWS = 9;
/** So many saves are told of together at the latest, where there is always another one in flight. */
const MOST_SAVES = 9;

interface Window<Save> {
  /** Saves of it that are not durable yet. */
  open: number;
  /** Those that are. */
  readonly saves: { readonly save: Save; readonly stall_s: number; readonly persist_s: number }[];
  /** Seconds and steps of training since the first of them. */
  seconds: number;
  steps: number;
}

/**
 * From the step at which a save was accepted until the first one behind its end is its window. What the steps in the window took beyond as many
 * usual ones is what the save cost: c + σ·P, however it came about — also where the loop itself waits for `committed`.
 */
export class SaveMeter<Save> {
  /** Of blocks as long as the last window: what it is compared with. */
  private readonly usual = new StepTime();
  /** Of longer blocks: what a step takes in the long run. */
  private readonly steady = new StepTime();
  /** Steps since the last window. */
  private between = 0;
  private last: { readonly step: number; readonly now_s: number } | undefined;
  private window: Window<Save> | undefined;
  private isWarm = false;
  private hasClosed = false;

  /** `measured` is called with what a save cost as soon as that is known. */
  constructor(private readonly measured: (save: Save, cost: MeasuredSave) => void) {}

  /** What a step takes while nothing is saved, in seconds: its mean but for rare pauses; `undefined` before there were enough. */
  get step_s(): number | undefined {
    return this.steady.seconds;
  }

  /** Whether the first save has not been measured yet. */
  get isMeasuringFirst(): boolean {
    return this.window !== undefined && !this.hasClosed;
  }

  /** Whether it is not known, or no longer, what a step takes while nothing is saved: without some such steps no cost can be seen. */
  get needsSteps(): boolean {
    return this.hasClosed && this.hearsSteps && this.usual.seconds === undefined;
  }

  /** Whether the loop says at all which step it is at. */
  get hearsSteps(): boolean {
    return this.last !== undefined;
  }

  /** The loop has come to `step`. */
  reached(step: number, now_s: number): void {
    const { last, window } = this;
    if (last?.step === step) return;
    this.last = { step, now_s };
    if (last === undefined || step < last.step) return;
    // The first one is no example: much is compiled, read and allocated in it.
    const steps = this.isWarm ? step - last.step : 0;
    const seconds = this.isWarm ? now_s - last.now_s : 0;
    this.isWarm = true;
    if (window !== undefined) {
      window.seconds += seconds;
      window.steps += steps;
      if (window.open === 0 || window.saves.length >= MOST_SAVES) this.close(window);
    } else if (steps > 0) {
      this.between += steps;
      this.usual.add(seconds, steps);
      this.steady.add(seconds, steps);
    }
  }

  /** A save was accepted. */
  accepted(): void {
    const saves = this.window?.saves.length ?? 0;
    // Of a loop that does not say which step it is at, or no longer does, this is the next that is heard.
    if (this.last === undefined ? saves > 0 : saves > MOST_SAVES || (saves > 1 && this.window?.open === 0)) this.settle();
    this.window ??= { open: 0, saves: [], seconds: 0, steps: 0 };
    this.window.open++;
  }

  /** It is durable. */
  committed(save: Save, stall_s: number, persist_s: number): void {
    const { window } = this;
    if (window === undefined) return;
    window.open--;
    window.saves.push({ save, stall_s, persist_s });
  }

  /** It came to nothing. */
  dropped(): void {
    const { window } = this;
    if (window === undefined) return;
    window.open--;
    if (window.open === 0 && window.saves.length === 0 && window.steps === 0) this.window = undefined;
  }

  /** Says now what is known of the saves that are durable: no step will come any more, or none has ever come. */
  settle(): void {
    const { window } = this;
    if (window !== undefined && window.saves.length > 0) this.close({ ...window, steps: 0 });
  }

  private close(window: Window<Save>): void {
    const { open, saves, steps } = window;
    // What those cost that are still in flight is seen in the next one, as some of this one's is that of others before.
    this.window = open === 0 ? undefined : { open, saves: [], seconds: 0, steps: 0 };
    this.hasClosed = true;
    this.usual.age(REMEMBERED_WINDOWS);
    if (steps > 0) {
      this.usual.setLength(steps);
      this.steady.setLength(Math.max(steps, Math.ceil(this.between * BLOCK_SHARE)));
    }
    this.between = 0;
    const slowdown = this.slowdownIn(window);
    for (const { save, stall_s, persist_s } of saves) this.measured(save, { stall_s, persist_s, slowdown });
  }

  /** The same for all saves of a window: which of them slowed a step down cannot be seen. */
  private slowdownIn({ saves, seconds, steps }: Window<Save>): number | undefined {
    const step_s = this.usual.seconds;
    if (step_s === undefined || steps === 0) return undefined;
    const persist_s = saves.reduce((sum, save) => sum + save.persist_s, 0);
    const stall_s = saves.reduce((sum, save) => sum + save.stall_s, 0);
    if (persist_s === 0) return 0;
    // More than its whole time a save cannot cost: what goes beyond is validation, or another pause.
    return Math.min(1, Math.max(-1, (seconds - steps * step_s - stall_s) / persist_s));
  }
}
