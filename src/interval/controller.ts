/** Chooses the checkpoint interval while a run goes on, from what its saves, restores and failures have shown. Pure: it is told everything. */
import { assertKnown } from '../known-options.js';
import { assertCount, assertNotNegative, assertPositive, assertShare, refuse } from './checks.js';
import { DEFAULT_PRIOR, FailureEstimate, type FailurePrior, type MtbfEstimate } from './failure-estimate.js';
import { budgetFloor_s, effectiveCost_s, inFlightFloor_s } from './floors.js';
import { type Binding, keepWithin } from './limits.js';
import { middleMean } from './middle.js';
import { exactInterval_s } from './optimal.js';

/** What a controller is told beforehand. All of it is optional. */
export interface ControllerOptions {
  /** Mean time between failures in seconds, where it is known: the run's own failures then change nothing. */
  readonly mtbf_s?: number | undefined;
  /** What is believed of it where it is not known. Default a day, worth one failure. */
  readonly prior?: FailurePrior | undefined;
  /** Most of training's time that saving may take, such as 0.03. Default: no limit. */
  readonly maxOverhead?: number | undefined;
  /** Default 0. */
  readonly minInterval_s?: number | undefined;
  /** Default twelve hours: whatever is estimated, no more work than that is at risk. */
  readonly maxInterval_s?: number | undefined;
  /** Saves that may be in flight at a time. Default 1. */
  readonly maxInFlight?: number | undefined;
}

/** What one save was seen to cost, in seconds. */
export interface ObservedSave {
  readonly stall_s: number;
  readonly persist_s: number;
  /** Share of `persist_s` that training lost to slowdown; where it was not seen, the saves before tell. */
  readonly slowdown?: number | undefined;
}

/** What decided the interval: its cost and the failures alone (`optimum`), a limit, or that nothing was measured yet (`firstSave`). */
export type IntervalReason = Binding | 'firstSave';

/** What the last saves cost, in seconds. */
export interface CostEstimate {
  /** How many saves this rests on. */
  readonly saves: number;
  readonly stall_s: number;
  readonly persist_s: number;
  /** σ, a share. */
  readonly slowdown: number;
  /** c + σ·P. */
  readonly cost_s: number;
  /** The least and the most expensive of them. */
  readonly low_s: number;
  readonly high_s: number;
}

/** The interval, and all that it rests on. */
export interface IntervalDecision {
  /** Seconds of work from the end of one save to the beginning of the next. */
  readonly interval_s: number;
  readonly reason: IntervalReason;
  /** With shorter ones training would wait for saves to become durable, in seconds; 0 before the first save. */
  readonly inFlightFloor_s: number;
  /** `undefined` before the first save. */
  readonly cost: CostEstimate | undefined;
  readonly mtbf: MtbfEstimate;
  /** From a failure until training goes on, as far as this was seen; `undefined` before the first restore. */
  readonly restart_s: number | undefined;
}

const KEYS = [
  'mtbf_s',
  'prior',
  'maxOverhead',
  'minInterval_s',
  'maxInterval_s',
  'maxInFlight',
] as const satisfies readonly (keyof ControllerOptions)[];

/** Before anything is known of a save's cost, the first is made after so long: to measure it, and to have one. */
const FIRST_SAVE_S = 10;
export const DEFAULT_MAX_INTERVAL_S = 12 * 3600;
/** Costs change during a run: as many of the last saves are looked at. */
const LAST_SAVES = 9;
const LAST_RESTORES = 5;
/** The optimum is flat: an interval that is off by this share costs half a percent more of the overhead, and a steady one is worth more. */
const HYSTERESIS = 0.1;

export class IntervalController {
  private readonly failures: FailureEstimate;
  private readonly costs: ObservedSave[] = [];
  private readonly restarts: number[] = [];
  private current: IntervalDecision;

  /** Throws `ERR_INVALID_ARGUMENT` for an option that is no number of its kind, as the methods do, which then leave everything as it was, and `ERR_UNKNOWN_OPTION`. */
  constructor(private readonly options: ControllerOptions = {}) {
    assertKnown('IntervalController', options, KEYS);
    checkOptions(options);
    this.failures = new FailureEstimate(options.prior ?? DEFAULT_PRIOR);
    this.current = this.decide();
  }

  /** The interval in force. */
  get interval_s(): number {
    return this.current.interval_s;
  }

  /** What decided it. */
  get reason(): IntervalReason {
    return this.current.reason;
  }

  /** What it rests on, as of now. */
  get decision(): IntervalDecision {
    const { interval_s, reason } = this.current;
    return { ...this.decide(), interval_s, reason };
  }

  /** A save became durable. */
  saved(save: ObservedSave): void {
    const { stall_s, persist_s, slowdown = 0 } = save;
    effectiveCost_s({ stall_s, persist_s, slowdown });
    this.costs.push(save);
    if (this.costs.length > LAST_SAVES) this.costs.shift();
    this.update();
  }

  /** Training went on from a checkpoint, so long after the process began. */
  restored(restart_s: number): void {
    assertNotNegative('IntervalController', { restart_s });
    this.restarts.push(restart_s);
    if (this.restarts.length > LAST_RESTORES) this.restarts.shift();
  }

  /** It ran for so many seconds more without a failure. */
  exposed(seconds: number): void {
    this.failures.exposed(seconds);
  }

  /** It failed. */
  failed(): void {
    this.failures.failed();
    this.update();
  }

  /** Takes a new interval where it is another one, not where it is nearly the same. */
  private update(): void {
    const next = this.decide();
    const { current } = this;
    const isNear = Math.abs(Math.log(next.interval_s / current.interval_s)) < Math.log1p(HYSTERESIS);
    if (isNear && next.reason === current.reason) return;
    this.current = isNear && next.reason === 'optimum' ? { ...next, interval_s: current.interval_s } : next;
  }

  private decide(): IntervalDecision {
    const { costs, options } = this;
    const mtbf = this.mtbf();
    const restart_s = this.restarts.length === 0 ? undefined : middleMean(this.restarts);
    const { minInterval_s = 0, maxInterval_s = DEFAULT_MAX_INTERVAL_S } = options;
    if (costs.length === 0) {
      const interval_s = Math.min(maxInterval_s, Math.max(minInterval_s, Math.min(FIRST_SAVE_S, mtbf.mtbf_s / 2)));
      return { interval_s, reason: 'firstSave', inFlightFloor_s: 0, cost: undefined, mtbf, restart_s };
    }
    const cost = estimateCost(costs);
    const { stall_s, persist_s } = cost;
    // A save that takes no time at all is one that the clock could not see.
    const cost_s = Math.max(cost.cost_s, 1e-6);
    const { maxOverhead, maxInFlight = 1 } = options;
    const inFlight = inFlightFloor_s({ stall_s, persist_s, maxInFlight });
    const [interval_s, reason] = keepWithin(exactInterval_s({ cost_s, mtbf_s: mtbf.mtbf_s }), {
      inFlight,
      maxOverhead: maxOverhead === undefined ? null : budgetFloor_s({ cost_s, maxOverhead }),
      minInterval: minInterval_s,
      maxInterval: maxInterval_s,
    });
    return { interval_s, reason, inFlightFloor_s: inFlight, cost, mtbf, restart_s };
  }

  private mtbf(): MtbfEstimate {
    const { estimate } = this.failures;
    const { mtbf_s } = this.options;
    return mtbf_s === undefined ? estimate : { ...estimate, mtbf_s, low_s: mtbf_s, high_s: mtbf_s };
  }
}

function checkOptions({
  mtbf_s,
  maxOverhead,
  minInterval_s = 0,
  maxInterval_s = DEFAULT_MAX_INTERVAL_S,
  maxInFlight = 1,
}: ControllerOptions): void {
  const where = 'IntervalController';
  if (mtbf_s !== undefined) assertPositive(where, { mtbf_s });
  if (maxOverhead !== undefined) assertShare(where, 'maxOverhead', maxOverhead);
  assertNotNegative(where, { minInterval_s });
  assertPositive(where, { maxInterval_s });
  assertCount(where, 'maxInFlight', maxInFlight);
  if (minInterval_s > maxInterval_s)
    throw refuse(where, 'minInterval_s', minInterval_s, `at most maxInterval_s, which is ${maxInterval_s}`);
}

function estimateCost(costs: readonly ObservedSave[]): CostEstimate {
  const seen = costs.flatMap(({ slowdown }) => (slowdown === undefined ? [] : [slowdown]));
  const slowdown = seen.length === 0 ? 0 : middleMean(seen);
  const each = costs.map(({ stall_s, persist_s, slowdown: own = slowdown }) => effectiveCost_s({ stall_s, slowdown: own, persist_s }));
  return {
    saves: costs.length,
    stall_s: middleMean(costs.map(({ stall_s }) => stall_s)),
    persist_s: middleMean(costs.map(({ persist_s }) => persist_s)),
    slowdown,
    cost_s: middleMean(each),
    low_s: Math.min(...each),
    high_s: Math.max(...each),
  };
}
