/** Saving as training goes on: asks the trigger at every step whether a save is due. */
import { constants } from 'node:os';
import { isMainThread } from 'node:worker_threads';
import { HoldfastError } from '../errors.js';
import { defaultMonitor, type Monitor } from '../policy/best.js';
import type { BestTracker } from '../policy/best-tracker.js';
import { allOf, on, type Trigger } from '../policy/trigger.js';
import { monotonicMs } from '../system.js';
import type { WriterCore } from './core.js';
import type { RunInterval } from './interval.js';
import { count, type Settings } from './options.js';
import { handlePreemption, type PreemptionHandle } from './preemption.js';
import type { SaveResult } from './save.js';
import type { AsyncSaveRequest } from './save-request.js';
import type { PendingSave, Saver } from './saver.js';

/** Where training is: what `shouldSave` looks at. */
export type Position = Pick<AsyncSaveRequest, 'step' | 'epoch' | 'metrics'>;

export const POSITION_KEYS = ['step', 'epoch', 'metrics'] as const satisfies readonly (keyof Position)[];

/** All of a save but where training is. */
export type StepContents = Omit<AsyncSaveRequest, keyof Position>;

/** What may be a function in a {@link StepRequest}: it is called only if a save is due, and its outcome captured at once. */
export type Costly = Pick<AsyncSaveRequest, 'tensors' | 'optimizer' | 'state' | 'scheduler' | 'rng' | 'dataPosition' | 'config'>;

/** Each member, or a function that gives it. */
export type OrFunctions<T> = { readonly [Key in keyof T]: T[Key] | (() => T[Key]) };

/** One step. What is costly to make may be a function. */
export type StepRequest = Omit<AsyncSaveRequest, keyof Costly> & OrFunctions<Costly>;

/** What came of a step. */
export type StepResult =
  | { readonly due: false; readonly reason: undefined; readonly pending: undefined }
  /** Why a save was due, for people, and the save. */
  | { readonly due: true; readonly reason: string; readonly pending: PendingSave };

const NOT_DUE: StepResult = Object.freeze({ due: false, reason: undefined, pending: undefined });
interface Place {
  readonly step: number;
  readonly epoch: number;
}

/** Before the first step, so that step 0 can be reached. */
const BEGINNING: Place = Object.freeze({ step: -1, epoch: 0 });

/** Of one manager. */
export class Stepper {
  private readonly signals = new Set<string>();
  private readonly listeners = new Map<NodeJS.Signals, () => void>();
  private preemption: PreemptionHandle | undefined;
  /** Waits for the next save, however it is made, when the process is about to end. */
  private lastSave: { readonly resolve: (outcome: Promise<SaveResult>) => void } | undefined;
  private previous: Place = BEGINNING;
  private current: Place = BEGINNING;
  private restored: Place | undefined;
  private savedStep = 0;

  private constructor(
    private readonly saver: Saver,
    private readonly trigger: Trigger | undefined,
    private readonly monitor: Monitor | undefined,
    private readonly trackers: readonly BestTracker[],
    private readonly interval: RunInterval,
  ) {
    saver.onAccepted = (outcome, step) => {
      interval.accepted(step, outcome);
      this.savedStep = step;
      this.signals.clear();
      this.previous = this.current;
      this.lastSave?.resolve(outcome);
      this.lastSave = undefined;
    };
  }

  /** Looks up the best values that the trigger asks for, and listens to its signals. Throws `ERR_UNSUPPORTED` for signals in a worker thread. */
  static async create(saver: Saver, core: WriterCore, settings: Settings, interval: RunInterval): Promise<Stepper> {
    // Without one of its own a run goes on watching what it has watched.
    const monitor = settings.monitor ?? core.monitor;
    const trigger = triggerOf(settings);
    const { best = false, monitors: own = [] } = trigger?.needs ?? {};
    const usual = monitor === undefined ? DEFAULT_MONITORS : [monitor];
    // Where it does not say which way is better of what is watched anyway, that goes for it too.
    const alike = own.flatMap((each) => usual.filter(({ metric }) => metric === each.metric).map(({ mode }) => ({ ...each, mode })));
    const monitors = [...(best ? usual : []), ...own, ...alike];
    const trackers = await Promise.all(monitors.map((each) => core.trackBest(each)));
    const stepper = new Stepper(saver, trigger, monitor, trackers, interval);
    stepper.listen(core.directory);
    return stepper;
  }

  /** A checkpoint of there was restored. Training may go on from it; or somebody only wanted to look at it. */
  noteRestored(step: number, epoch: number | null): void {
    this.restored = { step, epoch: epoch ?? 0 };
    // Until the first step it is where training goes on; later somebody only looks.
    if (this.current === BEGINNING) this.savedStep = step;
  }

  /** Why a save is due, or `undefined`. Asking again about the same step gives the same answer until something is saved. */
  look({ step, epoch, metrics = {} }: Position): string | undefined {
    const trigger = this.trigger;
    if (trigger === undefined) {
      throw new HoldfastError(
        'ERR_INVALID_ARGUMENT',
        'This manager does not know when to save: open it with a trigger, such as trigger: every.minutes(10), or use save.',
      );
    }
    // A step that is none would never be due, and nobody would hear of it.
    count('step', step, 0);
    if (epoch !== undefined) count('epoch', epoch, 0);
    const now = { step, epoch: epoch ?? this.current.epoch };
    if (now.step !== this.current.step || now.epoch !== this.current.epoch) {
      this.previous = this.placeBefore(now);
      this.current = now;
      this.interval.reached(step);
    }
    const reason: unknown = trigger.due({
      ...{ step, epoch, metrics, previous: this.previous, signals: this.signals },
      sinceSaveMs: monotonicMs() - this.saver.lastAcceptedMs,
      previousSave: this.savedStep,
      interval: trigger.needs?.interval === undefined ? undefined : this.interval.facts,
      preempted: this.lastSave !== undefined,
      monitor: this.watched(metrics),
      bestOf: (monitor) => this.trackers.find((tracker) => isSame(tracker.monitor, monitor))?.best,
    });
    // A trigger of the caller's own may say it in another way.
    return typeof reason === 'string' ? reason : reason ? trigger.description : undefined;
  }

  /** Saves what `make` gives if a save is due; it is called only then, and at once. */
  async step({ step, epoch, metrics }: Position, make: () => StepContents): Promise<StepResult> {
    const reason = this.look({ step, epoch, metrics });
    if (reason === undefined) return NOT_DUE;
    // A last save must not be left out because others are in flight.
    const forced = this.lastSave === undefined ? {} : { whenBusy: 'wait' as const };
    // What was looked at is what is saved.
    return { due: true, reason, pending: await this.saver.saveAsync({ ...make(), step, epoch, metrics, ...forced }) };
  }

  /** What decides which is best: where nobody has said, the validation loss once there is one. */
  private watched(metrics: Readonly<Record<string, number>>): Monitor {
    const usual = defaultMonitor([{ metrics }]);
    if (this.monitor !== undefined) return this.monitor;
    const validated = this.trackers.some(({ monitor, best }) => isSame(monitor, VALIDATION) && best !== undefined);
    return validated ? VALIDATION : usual;
  }

  /** Where training came from: from the step before, or, at the beginning and where it goes back, from what was restored. */
  private placeBefore(now: Place): Place {
    const { current, restored } = this;
    const resumed = restored !== undefined && restored.step <= now.step ? restored : undefined;
    if (current === BEGINNING) return resumed ?? current;
    if (now.step >= current.step) return current;
    return resumed ?? { step: now.step - 1, epoch: Math.min(now.epoch, current.epoch) };
  }

  /** Listens no more. */
  dispose(): void {
    for (const [signal, listener] of this.listeners) process.off(signal, listener);
    this.listeners.clear();
    this.preemption?.dispose();
  }

  private listen(directory: string): void {
    const { signals = [], preemption } = this.trigger?.needs ?? {};
    if (signals.length > 0 && !isMainThread) {
      throw new HoldfastError('ERR_UNSUPPORTED', 'Signals reach the main thread only: use on.signal in a manager that is opened there.');
    }
    const unknown = signals.filter((signal) => !Object.hasOwn(constants.signals, signal));
    if (unknown.length > 0) {
      throw new HoldfastError('ERR_INVALID_ARGUMENT', `on.signal: this system knows no signal ${unknown.join(', ')}.`);
    }
    try {
      for (const signal of signals) {
        const listener = () => void this.signals.add(signal);
        process.on(signal, listener);
        this.listeners.set(signal, listener);
      }
      if (preemption !== undefined)
        this.preemption = handlePreemption(this.saver, directory, { ...preemption, save: () => this.saveNext() }, () =>
          this.interval.preempted(),
        );
    } catch (cause) {
      this.dispose();
      if (cause instanceof HoldfastError) throw cause;
      throw new HoldfastError('ERR_INVALID_ARGUMENT', `This process cannot listen to ${signals.join(', ')}: ${(cause as Error).message}.`, {
        cause,
      });
    }
  }

  /** The next save that is accepted, when it is durable. */
  private saveNext(): Promise<unknown> {
    return new Promise((resolve) => {
      this.lastSave = { resolve };
    });
  }
}

/** What decides which is best where nobody says is known only when metrics come. */
const VALIDATION: Monitor = { metric: 'val_loss', mode: 'min' };
const DEFAULT_MONITORS: readonly Monitor[] = [VALIDATION, { metric: 'loss', mode: 'min' }];

function triggerOf({ trigger, saveBestOnly }: Settings): Trigger | undefined {
  if (!saveBestOnly) return trigger;
  return trigger === undefined ? on.improvement() : allOf(trigger, on.improvement());
}

function isSame(a: Monitor, b: Monitor): boolean {
  return a.metric === b.metric && a.mode === b.mode && (a.minDelta ?? 0) === (b.minDelta ?? 0) && a.threshold === b.threshold;
}

const COSTLY = ['tensors', 'optimizer', 'state', 'scheduler', 'rng', 'dataPosition', 'config'] as const satisfies readonly (keyof Costly)[];

/** The request of a step, with its functions called. */
export function makeRequest(request: StepRequest): AsyncSaveRequest {
  return callFunctions<Costly, StepRequest>(request, COSTLY) as AsyncSaveRequest;
}

/** `given`, with what they give in the place of those of its `members` that are functions. */
export function callFunctions<T extends object, Given extends OrFunctions<T>>(
  given: Given,
  members: readonly (keyof T)[],
): Omit<Given, keyof T> & T {
  const called: Record<PropertyKey, unknown> = { ...given };
  for (const member of members) {
    const value = called[member];
    if (typeof value === 'function') called[member] = value();
  }
  return called as Omit<Given, keyof T> & T;
}
