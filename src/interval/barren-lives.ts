/** Lives of a run that ended before they had saved anything: what the prior says is then too good to be believed. Pure. */
import { type MtbfEstimate, rangeOf_s } from './failure-estimate.js';

/**
 * A prior of a day takes many failures to be outweighed, and with an interval that belongs to it lives of minutes get nowhere, one after the other. So from
 * the first life on that has failed without a save, the mean time between failures is no longer than what was seen since: seconds per failure,
 * without a prior. That ends as soon as the estimate with the prior is the shorter one.
 */
export class BarrenLives {
  private life_s = 0;
  private hasSaved = false;
  private since: { seconds: number; failures: number } | undefined;

  /** A life begins. */
  began(): void {
    this.life_s = 0;
    this.hasSaved = false;
  }

  exposed(seconds: number): void {
    this.life_s += seconds;
    if (this.since !== undefined) this.since.seconds += seconds;
  }

  /** A save became durable. */
  saved(): void {
    this.hasSaved = true;
  }

  failed(): void {
    if (this.since === undefined && !this.hasSaved && this.life_s > 0) this.since = { seconds: this.life_s, failures: 0 };
    if (this.since !== undefined) this.since.failures++;
    this.began();
  }

  /** The mean time between failures, given the estimate with its prior. */
  mtbf_s(estimated_s: number): number {
    const { since } = this;
    if (since === undefined) return estimated_s;
    const seen_s = since.seconds / since.failures;
    if (seen_s < estimated_s) return seen_s;
    this.since = undefined;
    return estimated_s;
  }

  /** All that is known, given the estimate with its prior. */
  estimate(estimate: MtbfEstimate): MtbfEstimate & { readonly isPriorLeftOut: boolean } {
    const mtbf_s = this.mtbf_s(estimate.mtbf_s);
    const { since } = this;
    if (since === undefined) return { ...estimate, isPriorLeftOut: false };
    return { ...estimate, mtbf_s, ...rangeOf_s(since.failures, since.seconds, mtbf_s), isPriorLeftOut: true };
  }
}
