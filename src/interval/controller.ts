/** Chooses the checkpoint interval while a run goes on, from what its saves, restores and failures have shown. Pure: it is told everything. */
import { assertKnown } from '../known-options.js';
import { assertCount, assertNotNegative, assertPositive, assertShare, refuse } from './checks.js';
import type { FailurePrior } from './failure-estimate.js';
import { budgetFloor_s, inFlightFloor_s } from './floors.js';
import { type Binding, type IntervalLimits, keepWithin } from './limits.js';
import { middleMean } from './middle.js';
import { exactInterval_s } from './optimal.js';
import { type LifeSoFar, RunFailures, type RunMtbfEstimate } from './run-failures.js';

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
  /**
   * Share of `persist_s` that training lost to slowdown; where it was not seen, the saves before tell. From −1 to 1: a single measurement may be below
   * zero where steps are not all alike, as it is above it as often; their mean is not.
   */
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
  /** The least and the most expensive of them; none less than its stall. */
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
  readonly mtbf: RunMtbfEstimate;
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
export const LAST_SAVES = 9;
const LAST_RESTORES = 5;
/** The optimum is flat: an interval that is off by this share costs half a percent more of the overhead, and a steady one is worth more. */
const HYSTERESIS = 0.1;

/** What was chosen, and what it has to keep to. */
interface Choice {
  readonly interval_s: number;
  readonly reason: IntervalReason;
  readonly limits: IntervalLimits;
}

export class IntervalController {
  private readonly failures: RunFailures;
  private readonly costs: ObservedSave[] = [];
  private readonly restarts: number[] = [];
  private current: Choice;

  /** Throws `ERR_INVALID_ARGUMENT` for an option that is no number of its kind, as the methods do, which then leave everything as it was, and `ERR_UNKNOWN_OPTION`. */
  constructor(private readonly options: ControllerOptions = {}) {
    assertKnown('IntervalController', options, KEYS);
    checkOptions(options);
    this.failures = new RunFailures(options.prior);
    this.current = this.choose();
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
    const { costs, restarts, current } = this;
    const { interval_s, reason } = current;
    const cost = costs.length === 0 ? undefined : estimateCost(costs);
    const restart_s = restarts.length === 0 ? undefined : middleMean(restarts);
    return { interval_s, reason, inFlightFloor_s: cost === undefined ? 0 : this.inFlightFloor_s(cost), cost, mtbf: this.mtbf(), restart_s };
  }

  /** A save became durable. */
  saved(save: ObservedSave): void {
    const { stall_s, persist_s, slowdown = 0 } = save;
    const where = 'IntervalController';
    assertNotNegative(where, { stall_s, persist_s });
    if (!(slowdown >= -1 && slowdown <= 1)) throw refuse(where, 'slowdown', slowdown, 'a share from -1 to 1');
    this.costs.push(save);
    if (this.costs.length > LAST_SAVES) this.costs.shift();
    this.failures.saved();
    this.update();
  }

  /** A life began from a checkpoint: training went on so long after the process did. */
  restored(restart_s: number): void {
    assertNotNegative('IntervalController', { restart_s });
    this.restarts.push(restart_s);
    if (this.restarts.length > LAST_RESTORES) this.restarts.shift();
    this.failures.began();
  }

  /** It ran for so many seconds more without a failure. */
  exposed(seconds: number): void {
    this.failures.exposed(seconds);
  }

  /** It failed; or a life before it did, of which this was not known when it was told. */
  failed(life?: LifeSoFar): void {
    this.failures.failed(inVainFrom_s(this.costs), life);
    this.update();
  }

  /** A whole life, as its history tells it: what its saves cost is told by {@link saved}. */
  lived({ seconds, hasSaved, hasFailed }: LifeSoFar & { readonly hasFailed: boolean }): void {
    this.failures.began();
    this.exposed(seconds);
    if (hasSaved) this.failures.saved();
    if (hasFailed) this.failed();
    this.failures.began();
  }

  /** Takes a new interval where it is another one, not where it is nearly the same and keeps to the limits all the same. */
  private update(): void {
    const next = this.choose();
    const { interval_s, reason } = this.current;
    const isNear = Math.abs(Math.log(next.interval_s / interval_s)) < Math.log1p(HYSTERESIS);
    const isKept = isNear && keepWithin(interval_s, next.limits)[0] === interval_s && (next.reason === reason || next.reason === 'optimum');
    this.current = isKept ? { ...next, interval_s } : next;
  }

  private choose(): Choice {
    const { costs, options } = this;
    const { minInterval_s = 0, maxInterval_s = DEFAULT_MAX_INTERVAL_S, maxOverhead } = options;
    const mtbf_s = options.mtbf_s ?? this.failures.mtbf_s;
    const own = { minInterval: minInterval_s, maxInterval: maxInterval_s };
    if (costs.length === 0) {
      const limits = { inFlight: null, maxOverhead: null, ...own };
      return { interval_s: keepWithin(Math.min(FIRST_SAVE_S, mtbf_s / 2), limits)[0], reason: 'firstSave', limits };
    }
    const cost = estimateCost(costs);
    // A save that takes no time at all is one that the clock could not see.
    const cost_s = Math.max(cost.cost_s, 1e-6);
    const limits = {
      inFlight: this.inFlightFloor_s(cost),
      maxOverhead: maxOverhead === undefined ? null : budgetFloor_s({ cost_s, maxOverhead }),
      ...own,
    };
    const [interval_s, reason] = keepWithin(exactInterval_s({ cost_s, mtbf_s }), limits);
    return { interval_s, reason, limits };
  }

  private inFlightFloor_s({ stall_s, persist_s, slowdown }: CostEstimate): number {
    return inFlightFloor_s({ stall_s, persist_s, slowdown, maxInFlight: this.options.maxInFlight ?? 1 });
  }

  private mtbf(): IntervalDecision['mtbf'] {
    const { mtbf_s } = this.options;
    const { estimate } = this.failures;
    if (mtbf_s === undefined) return estimate;
    return { ...estimate, mtbf_s, low_s: mtbf_s, high_s: mtbf_s, isPriorLeftOut: false };
  }
}

/** Seconds from which on a life should have saved something: there was time for the first save, and for twice what one costs. */
export function inVainFrom_s(saves: readonly ObservedSave[]): number {
  return saves.length === 0 ? FIRST_SAVE_S : Math.max(FIRST_SAVE_S, 2 * estimateCost(saves.slice(-LAST_SAVES)).cost_s);
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
  // Noise is as often below as above: only what is left of it in the mean is cut off.
  const slowdown = seen.length === 0 ? 0 : Math.max(0, middleMean(seen));
  const stall_s = middleMean(costs.map((save) => save.stall_s));
  const each = costs.map((save) => save.stall_s + (save.slowdown ?? slowdown) * save.persist_s);
  const least = costs.map((save, i) => Math.max(save.stall_s, each[i] as number));
  return {
    saves: costs.length,
    stall_s,
    persist_s: middleMean(costs.map(({ persist_s }) => persist_s)),
    slowdown,
    cost_s: Math.max(stall_s, middleMean(each)),
    low_s: Math.min(...least),
    high_s: Math.max(...least),
  };
}
