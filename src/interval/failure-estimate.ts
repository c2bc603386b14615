/** How often a run fails, estimated from what is believed beforehand and from what it has lived through. */
import { assertKnown } from '../known-options.js';
import { assertNotNegative, assertPositive, refuse } from './checks.js';
import { gammaQuantile } from './gamma.js';

/** What is believed before anything has happened. */
export interface FailurePrior {
  /** Mean time between failures, in seconds. */
  readonly mtbf_s: number;
  /** As much as so many failures that were seen: the larger, the longer it lasts until the run's own outweigh it. Above 0. */
  readonly weight: number;
}

/** Nothing known: a day, worth one failure. */
export const DEFAULT_PRIOR: FailurePrior = { mtbf_s: 86_400, weight: 1 };

/** The shortest mean time between failures that is told, in seconds. */
const LEAST_S = 1e-6;

/** What is known of the mean time between failures. */
export interface MtbfEstimate {
  readonly mtbf_s: number;
  /** In here with 95 % probability. */
  readonly low_s: number;
  readonly high_s: number;
  /** Failures and seconds of running that it rests on, all of them. */
  readonly failures: number;
  readonly uptime_s: number;
}

/**
 * The rate of a Poisson process with a gamma prior (conjugate: Gelman et al., Bayesian Data Analysis, 3rd edition 2013, section 2.6). The estimate is 1
 * over the posterior mean of the *rate*: the expected cost of an interval, c/τ + τ·rate/2, is least at the interval that belongs to it.
 *
 * Machines get better and worse during a run, so what is long ago counts less: each failure takes 1/`memory` of the weight of all before it.
 */
export class FailureEstimate {
  private shape: number;
  private time_s: number;
  /** Of `time_s`, since the last failure. */
  private recent_s = 0;
  private failures = 0;
  private uptime_s = 0;

  /** Throws `ERR_INVALID_ARGUMENT` for a prior that is no number of its kind, and a memory of less than one failure; `ERR_UNKNOWN_OPTION`. */
  constructor(
    prior: FailurePrior = DEFAULT_PRIOR,
    private readonly memory = 20,
  ) {
    assertKnown('FailureEstimate', prior, ['mtbf_s', 'weight']);
    assertPositive('FailureEstimate', { mtbf_s: prior.mtbf_s, weight: prior.weight });
    if (!(Number.isFinite(memory) && memory >= 1)) throw refuse('FailureEstimate', 'memory', memory, 'a number of failures of at least 1');
    if (!Number.isFinite(prior.weight * prior.mtbf_s))
      throw refuse('FailureEstimate', 'weight', prior.weight, 'a number that times mtbf_s is finite');
    this.shape = prior.weight;
    this.time_s = prior.weight * prior.mtbf_s;
  }

  /** It ran for so many seconds more. Throws `ERR_INVALID_ARGUMENT` for less than none: the clock must be one that does not jump. */
  exposed(seconds: number): void {
    assertNotNegative('FailureEstimate', { seconds });
    this.uptime_s += seconds;
    this.time_s += seconds;
    this.recent_s += seconds;
  }

  /** It failed. */
  failed(): void {
    const kept = 1 - 1 / this.memory;
    this.failures++;
    this.shape = this.shape * kept + 1;
    // What led to this failure counts in full, as it does itself: else every gap would seem shorter than it was.
    this.time_s = (this.time_s - this.recent_s) * kept + this.recent_s;
    this.recent_s = 0;
  }

  get mtbf_s(): number {
    // Failures without end in no time at all: still a number that an interval can be reckoned with.
    return Math.max(LEAST_S, this.time_s / this.shape);
  }

  get estimate(): MtbfEstimate {
    const { mtbf_s, failures, uptime_s, shape, time_s } = this;
    // A prior that is worth next to nothing is that skewed that its own mean lies outside.
    const low_s = Math.min(mtbf_s, time_s / gammaQuantile(shape, 0.975));
    const high_s = Math.max(mtbf_s, time_s / gammaQuantile(shape, 0.025));
    return { mtbf_s, low_s, high_s, failures, uptime_s };
  }
}
