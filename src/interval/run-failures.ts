/** How often one run fails, by all that its lives tell: also those that ended before they had saved anything. Pure. */
import { FailureEstimate, type FailurePrior, type MtbfEstimate } from './failure-estimate.js';

/** As good as none. */
const NO_PRIOR: FailurePrior = { mtbf_s: 1, weight: 1e-9 };

/** What is known of the mean time between failures of a run. */
export interface RunMtbfEstimate extends MtbfEstimate {
  /** Whether two lives in a row have failed before they had saved anything, so that the prior is not believed for the time being. */
  readonly isPriorLeftOut: boolean;
}

/** What a life was like. */
export interface LifeSoFar {
  readonly seconds: number;
  /** Whether a save of it became durable. */
  readonly hasSaved: boolean;
}

/** A life that was shorter than this share of what is believed is none that one should have expected: it comes once in ten. */
const SURPRISING = 0.1;
/** One such life may be chance: in a long run it comes again and again, and each time saves would be too many for hours. */
const SURPRISES = 2;

/**
 * A prior of a day takes many failures to be outweighed, and with an interval that belongs to it lives of minutes get nowhere, one after the other. So when two
 * lives in a row have failed in vain, without a save though there was time for one, and far sooner than was believed, the mean time between
 * failures is no longer than what was seen since, without the prior. That ends as soon as the estimate with the prior is the shorter one.
 */
export class RunFailures {
  private readonly all: FailureEstimate;
  private since: FailureEstimate | undefined;
  /** Seconds of the lives in vain, one after the other, that came last. */
  private inVain: number[] = [];
  private life: LifeSoFar = { seconds: 0, hasSaved: false };

  /** Throws as {@link FailureEstimate} does. */
  constructor(prior?: FailurePrior) {
    this.all = new FailureEstimate(prior);
  }

  /** A life begins. */
  began(): void {
    this.life = { seconds: 0, hasSaved: false };
  }

  /** It ran for so many seconds more. Throws `ERR_INVALID_ARGUMENT` for less than none. */
  exposed(seconds: number): void {
    this.all.exposed(seconds);
    this.since?.exposed(seconds);
    this.life = { ...this.life, seconds: this.life.seconds + seconds };
    this.compare();
  }

  /** A save of it became durable. */
  saved(): void {
    this.life = { ...this.life, hasSaved: true };
  }

  /** It failed, or a life before it has, as it turns out. One of less than `least_s` seconds is no reason to doubt the prior: what fails at once would not have been saved anyhow. */
  failed(least_s: number, { seconds, hasSaved }: LifeSoFar = this.life): void {
    const isInVain = !hasSaved && seconds < SURPRISING * this.all.mtbf_s;
    this.all.failed();
    this.began();
    if (seconds < least_s) return;
    this.inVain = isInVain ? [...this.inVain, seconds].slice(-SURPRISES) : [];
    if (this.since !== undefined) this.since.failed();
    else if (this.inVain.length === SURPRISES) this.since = withoutPrior(this.inVain);
    this.compare();
  }

  get mtbf_s(): number {
    return this.since?.mtbf_s ?? this.all.mtbf_s;
  }

  get estimate(): RunMtbfEstimate {
    const { estimate } = this.all;
    if (this.since === undefined) return { ...estimate, isPriorLeftOut: false };
    const { mtbf_s, low_s, high_s } = this.since.estimate;
    return { ...estimate, mtbf_s, low_s, high_s, isPriorLeftOut: true };
  }

  private compare(): void {
    if (this.since !== undefined && this.since.mtbf_s >= this.all.mtbf_s) this.since = undefined;
  }
}

function withoutPrior(lives: readonly number[]): FailureEstimate {
  const estimate = new FailureEstimate(NO_PRIOR);
  for (const seconds of lives) {
    estimate.exposed(seconds);
    estimate.failed();
  }
  return estimate;
}
