/** When a save is due: pure functions over where training is. */
import { HoldfastError } from '../errors.js';
import type { ControllerOptions, IntervalReason } from '../interval/controller.js';
import { assertKnown } from '../known-options.js';
import { improves, inferMode, type MetricMode, type Monitor, metricOf } from './best.js';
import { toSteps } from './checks.js';
import { type Duration, formatDuration, toMilliseconds } from './duration.js';

/** Where training is, and what has been saved. */
export interface TriggerFacts {
  /** Global step. */
  readonly step: number;
  /** Epochs that are done. */
  readonly epoch: number | undefined;
  readonly metrics: Readonly<Record<string, number>>;
  /** Where training was when it was looked at or saved before, or where it was resumed; where it began, step −1 of epoch 0. */
  readonly previous: { readonly step: number; readonly epoch: number };
  /** Milliseconds since the last save was accepted, or the directory was opened, by a clock that does not jump. */
  readonly sinceSaveMs: number;
  /** Step of the last save that was accepted, or where training was resumed; 0 where it began. */
  readonly previousSave: number;
  /** What the interval controller says, for a trigger that needs it. */
  readonly interval: IntervalFacts | undefined;
  /** Signals that have come since the last save was accepted. */
  readonly signals: ReadonlySet<string>;
  /** Whether the process was told to end. */
  readonly preempted: boolean;
  /** What decides which checkpoint is best. */
  readonly monitor: Monitor;
  /** The value to beat, over all checkpoints and the saves in flight; `undefined` where there is none. */
  bestOf(monitor: Monitor): number | undefined;
}

/** What an interval controller knows of this moment. */
export interface IntervalFacts {
  /** Seconds of work from one save to the next. */
  readonly interval_s: number;
  /** What decided it. */
  readonly reason: IntervalReason;
  /** Seconds since the last save let training go on, or since the directory was opened. */
  readonly worked_s: number;
  /** What a step usually takes, in seconds; `undefined` before there were enough. */
  readonly step_s: number | undefined;
  /** Whether what saves cost can only be seen, or seen again, if there is none now; for some steps at most. */
  readonly isMeasuring: boolean;
}

/** What a trigger has to be told of. */
export interface TriggerNeeds {
  /** Signals to listen for. */
  readonly signals?: readonly NodeJS.Signals[];
  /** To be told of preemption, and how. */
  readonly preemption?: PreemptionNeeds;
  /** Whether it asks for the best value of what the manager watches. */
  readonly best?: boolean;
  /** Metrics of its own whose best value it asks for. */
  readonly monitors?: readonly Monitor[];
  /** A controller of the interval. */
  readonly interval?: IntervalNeeds;
}

/** What a controller of the interval is told, and how its interval is kept. */
export interface IntervalNeeds {
  readonly controller: ControllerOptions;
  readonly unit: 'time' | 'steps';
}

/** Which signals mean the end, and how long there is. */
export interface PreemptionNeeds {
  /** Default `['SIGTERM']`. */
  readonly signals?: readonly NodeJS.Signals[] | undefined;
  /** Milliseconds from the signal to the end of the process. Default 25,000. */
  readonly deadlineMs?: number | undefined;
}

/** A reason to save now. Without state: what it needs to remember is in the facts. */
export interface Trigger {
  /** For messages, such as `every.steps(1000)`. */
  readonly description: string;
  /** Why a save is due, for people; `undefined` where it is not. */
  due(facts: TriggerFacts): string | undefined;
  readonly needs?: TriggerNeeds;
}

/** Again and again. */
export const every = Object.freeze({
  /** When a multiple of `interval` steps was reached or passed since the last look. */
  steps(interval: number): Trigger {
    assertInterval('every.steps', interval);
    return {
      description: `every.steps(${interval})`,
      due: ({ step, previous }) => {
        const multiple = passed(previous.step, step, interval);
        return multiple === undefined ? undefined : `step ${multiple} was reached`;
      },
    };
  },
  /** When a multiple of `interval` epochs was done since the last look: `epoch` counts those that are done. */
  epochs(interval: number): Trigger {
    assertInterval('every.epochs', interval);
    return {
      description: `every.epochs(${interval})`,
      due: ({ epoch, previous }) => {
        const multiple = epoch === undefined ? undefined : passed(previous.epoch, epoch, interval);
        return multiple === undefined ? undefined : `epoch ${multiple} is done`;
      },
    };
  },
  /** When that many minutes have gone by since the last save, whatever it was for. */
  minutes: (minutes: number): Trigger => everySoOften('every.minutes', minutes, { minutes }),
  /** When that many seconds have gone by since the last save, whatever it was for. */
  seconds: (seconds: number): Trigger => everySoOften('every.seconds', seconds, { seconds }),
});

/** Once each. */
export const at = Object.freeze({
  /** When one of these steps was reached or passed since the last look. */
  steps(steps: Iterable<number>): Trigger {
    const wanted = [...new Set(toSteps('at.steps', steps))].sort((a, b) => a - b);
    return {
      description: `at.steps(${wanted.join(', ')})`,
      due: ({ step, previous }) => {
        const reached = wanted.findLast((each) => each > previous.step && each <= step);
        return reached === undefined ? undefined : `step ${reached} was reached`;
      },
    };
  },
});

/** What an improvement is. */
export interface ImprovementOptions {
  /** Default: what decides which checkpoint is best. */
  readonly monitor?: string | undefined;
  /** Default: as the manager watches the metric; another one as Keras 2 infers it from the name. */
  readonly mode?: MetricMode | undefined;
  /** By how much it has to be better. Default 0. */
  readonly minDelta?: number | undefined;
  /** What the first one has to beat. */
  readonly threshold?: number | undefined;
}

/** When something happens. */
export const on = Object.freeze({
  /** When the metric is better than in every checkpoint before. NaN, infinities and a metric that is missing are no improvement. */
  improvement(options: ImprovementOptions = {}): Trigger {
    const own = ownMonitor(options);
    const isInferred = options.mode === undefined;
    return {
      description: own === undefined ? 'on.improvement()' : `on.improvement(${own.metric} ${own.mode})`,
      due: ({ metrics, monitor: given, bestOf }) => {
        // What is watched anyway is watched one way.
        const monitor = own === undefined ? given : isInferred && own.metric === given.metric ? { ...own, mode: given.mode } : own;
        const value = metricOf({ metrics }, monitor.metric);
        const best = bestOf(monitor);
        if (value === undefined || !improves(value, best, monitor)) return undefined;
        const from = best ?? monitor.threshold;
        return from === undefined ? `${monitor.metric} is ${value}, the first` : `${monitor.metric} improved from ${from} to ${value}`;
      },
      needs: own === undefined ? { best: true } : { monitors: [own] },
    };
  },
  /** At the next step behind one of these signals, such as SIGUSR1. */
  signal(...signals: NodeJS.Signals[]): Trigger {
    if (signals.length === 0 || !signals.every((name) => typeof name === 'string' && /^SIG[A-Z0-9]+$/.test(name))) {
      throw new HoldfastError('ERR_INVALID_ARGUMENT', 'on.signal needs the names of signals, such as "SIGUSR1".');
    }
    return {
      description: `on.signal(${signals.join(', ')})`,
      due: ({ signals: arrived }) => {
        const name = signals.find((each) => arrived.has(each));
        return name === undefined ? undefined : `${name} came`;
      },
      needs: { signals },
    };
  },
  /**
   * When the process is told to end: the next step is saved if that fits before the deadline, and then the process ends, as
   * `manager.onPreemption` says.
   */
  preemption(options: PreemptionNeeds = {}): Trigger {
    assertKnown('on.preemption', options, ['signals', 'deadlineMs']);
    return {
      description: 'on.preemption()',
      due: ({ preempted }) => (preempted ? 'the process is about to end' : undefined),
      needs: { preemption: options },
    };
  },
});

/** Due when one of the triggers is. Throws `ERR_INVALID_ARGUMENT` unless they are triggers, and agree on what preemption is. */
export function anyOf(...triggers: readonly Trigger[]): Trigger {
  const checked = checkTriggers('anyOf', triggers);
  return {
    description: `anyOf(${describe(checked)})`,
    due: (facts) => {
      const reasons = checked.map((trigger) => trigger.due(facts)).filter((reason) => reason !== undefined);
      return reasons.length === 0 ? undefined : reasons.join(', ');
    },
    needs: mergeNeeds('anyOf', checked),
  };
}

/** Due when all of the triggers are, at the same step. Throws like {@link anyOf}. */
export function allOf(...triggers: readonly Trigger[]): Trigger {
  const checked = checkTriggers('allOf', triggers);
  return {
    description: `allOf(${describe(checked)})`,
    due: (facts) => {
      const reasons = checked.map((trigger) => trigger.due(facts));
      return reasons.some((reason) => reason === undefined) ? undefined : reasons.join(', ');
    },
    needs: mergeNeeds('allOf', checked),
  };
}

/** Throws `ERR_INVALID_ARGUMENT` unless they are triggers, and at least one. */
export function checkTriggers(where: string, triggers: readonly unknown[]): readonly Trigger[] {
  if (triggers.length > 0 && triggers.every((trigger) => typeof (trigger as Trigger | null)?.due === 'function')) {
    return triggers as readonly Trigger[];
  }
  throw new HoldfastError('ERR_INVALID_ARGUMENT', `${where} needs triggers, such as every.steps(1000).`);
}

function everySoOften(name: string, amount: number, duration: Duration): Trigger {
  if (!Number.isFinite(amount) || amount <= 0) {
    throw new HoldfastError('ERR_INVALID_ARGUMENT', `${name} needs a number above 0, not ${String(amount)}.`);
  }
  const ms = toMilliseconds(name, duration);
  return {
    description: `${name}(${amount})`,
    due: ({ sinceSaveMs }) => (sinceSaveMs >= ms ? `${formatDuration(duration)} have gone by since the last save` : undefined),
  };
}

/** The last multiple of `interval` in (from, to]; 0 is none, as nothing has been done by then. */
function passed(from: number, to: number, interval: number): number | undefined {
  const multiple = Math.floor(to / interval) * interval;
  return multiple > from && multiple > 0 ? multiple : undefined;
}

function assertInterval(name: string, interval: number): void {
  if (Number.isSafeInteger(interval) && interval >= 1) return;
  throw new HoldfastError('ERR_INVALID_ARGUMENT', `${name} needs a whole number of at least 1, not ${String(interval)}.`);
}

function ownMonitor(options: ImprovementOptions): Monitor | undefined {
  assertKnown('on.improvement', options, ['monitor', 'mode', 'minDelta', 'threshold']);
  const { monitor, mode, minDelta, threshold } = options;
  if (monitor === undefined) {
    if (mode === undefined && minDelta === undefined && threshold === undefined) return undefined;
    throw new HoldfastError('ERR_INVALID_ARGUMENT', 'on.improvement needs a monitor with the rest: name the metric that it is about.');
  }
  return checkMonitor('on.improvement', { monitor, mode, minDelta, threshold });
}

/** A monitor from what a caller says of it. Throws `ERR_INVALID_ARGUMENT`. */
export function checkMonitor(where: string, { monitor, mode, minDelta, threshold }: ImprovementOptions): Monitor {
  const refuse = (what: string) => new HoldfastError('ERR_INVALID_ARGUMENT', `${where}: ${what}.`);
  if (typeof monitor !== 'string' || monitor === '') throw refuse('the monitor must be the name of a metric');
  if (mode !== undefined && mode !== 'min' && mode !== 'max') throw refuse(`the mode must be "min" or "max", not ${String(mode)}`);
  if (minDelta !== undefined && !(Number.isFinite(minDelta) && minDelta >= 0)) throw refuse('minDelta must be a number of at least 0');
  if (threshold !== undefined && !Number.isFinite(threshold)) throw refuse('the threshold must be a finite number');
  return {
    metric: monitor,
    mode: mode ?? inferMode(monitor),
    ...(minDelta === undefined || minDelta === 0 ? {} : { minDelta }),
    ...(threshold === undefined ? {} : { threshold }),
  };
}

function describe(triggers: readonly Trigger[]): string {
  return triggers.map(({ description }) => description).join(', ');
}

function mergeNeeds(where: string, triggers: readonly Trigger[]): TriggerNeeds {
  const needs = triggers.map((trigger) => trigger.needs ?? {});
  const [preemption, ...others] = needs.flatMap((each) => (each.preemption === undefined ? [] : [each.preemption]));
  if (preemption !== undefined && others.some((other) => spell(other) !== spell(preemption))) {
    throw new HoldfastError('ERR_INVALID_ARGUMENT', `${where} has on.preemption with different signals or deadlines: give it once.`);
  }
  const [interval, ...otherIntervals] = needs.flatMap((each) => (each.interval === undefined ? [] : [each.interval]));
  if (otherIntervals.some((other) => JSON.stringify(other) !== JSON.stringify(interval))) {
    throw new HoldfastError('ERR_INVALID_ARGUMENT', `${where} has auto with different options: give it once.`);
  }
  return {
    ...(interval === undefined ? {} : { interval }),
    signals: [...new Set(needs.flatMap(({ signals = [] }) => signals))],
    monitors: needs.flatMap(({ monitors = [] }) => monitors),
    ...(needs.some(({ best }) => best) ? { best: true } : {}),
    ...(preemption === undefined ? {} : { preemption }),
  };
}

function spell({ signals, deadlineMs }: PreemptionNeeds): string {
  return JSON.stringify([signals, deadlineMs]);
}
