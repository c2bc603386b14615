/** Lives of a run that ended before they had saved anything: what the prior says is then too good to be believed. Pure. */
import { FailureEstimate, type MtbfEstimate } from './failure-estimate.js';

/** As good as none. */
const NO_PRIOR = { mtbf_s: 1, weight: 1e-9 };

/**
 * A prior of a day takes many failures to be outweighed, and with an interval that belongs to it lives of minutes get nowhere, one after the other. So from
 * the first life on that has failed without a save, the mean time between failures is no longer than what was seen since, without the prior. That
 * ends as soon as the estimate with the prior is the shorter one.
 */
export class BarrenLives {
  private life_s = 0;
  private hasSaved = false;
  private since: FailureEstimate | undefined;

  /** A life begins. */
  began(): void {
    this.life_s = 0;
    this.hasSaved = false;
  }

  exposed(seconds: number): void {
    this.life_s += seconds;
    this.since?.exposed(seconds);
  }

  /** A save became durable. */
  saved(): void {
    this.hasSaved = true;
  }

  failed(): void {
    if (this.since === undefined && !this.hasSaved && this.life_s > 0) {
      this.since = new FailureEstimate(NO_PRIOR);
      this.since.exposed(this.life_s);
    }
    this.since?.failed();
    this.began();
  }

  /** The mean time between failures, given the estimate with its prior. */
  mtbf_s(estimated_s: number): number {
    if (this.since === undefined) return estimated_s;
    if (this.since.mtbf_s < estimated_s) return this.since.mtbf_s;
    this.since = undefined;
    return estimated_s;
  }

  /** All that is known, given the estimate with its prior. */
  estimate(estimate: MtbfEstimate): MtbfEstimate & { readonly isPriorLeftOut: boolean } {
    const mtbf_s = this.mtbf_s(estimate.mtbf_s);
    if (this.since === undefined) return { ...estimate, isPriorLeftOut: false };
    const { low_s, high_s } = this.since.estimate;
    return { ...estimate, mtbf_s, low_s, high_s, isPriorLeftOut: true };
  }
}
