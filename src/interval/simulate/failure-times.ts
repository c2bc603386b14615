/** When a run fails: the seed and the run's number decide, and nothing that a policy does. */
import { logGamma } from '../gamma.js';
import { type Failures, MOST_FAILURES, tooManyFailures } from './job.js';
import { RandomStream } from './random.js';
import { momentOf } from './varying.js';

/** The moments at which one run fails, in seconds of wall time. They are made when they are asked for, and kept for the next policy. */
export class FailureTimes {
  readonly #failures: Failures;
  readonly #most: number;
  readonly #random = new RandomStream(0, 0);
  /** 1/Γ(1 + 1/shape), and 1/shape: gaps of mean 1. */
  readonly #scale: number = 1;
  readonly #power: number = 1;
  #times = new Float64Array(1024);
  #count = 0;
  /** Gaps of mean 1, added up. */
  #amount = 0;
  /** Where in a trace the run begins. */
  #offset = 0;
  #first = 0;

  /** Throws `ERR_INVALID_ARGUMENT` when it is asked for more than `most` failures of a run. */
  constructor(failures: Failures, most = MOST_FAILURES) {
    this.#failures = failures;
    this.#most = most;
    if (failures.kind === 'weibull') {
      this.#power = 1 / failures.shape;
      this.#scale = Math.exp(-logGamma(1 + this.#power));
    }
  }

  /** Turns to another run. */
  turnTo(seed: number, run: number): void {
    this.#random.restart(seed, run);
    this.#count = 0;
    this.#amount = 0;
    if (this.#failures.kind !== 'trace' || this.#failures.randomStart !== true) return;
    const { times_s, period_s = times_s.at(-1) ?? 0 } = this.#failures;
    this.#offset = period_s * (1 - this.#random.uniform());
    this.#first = times_s.findIndex((time) => time >= this.#offset);
    if (this.#first < 0) this.#first = times_s.length;
  }

  /** When failure number `which` (from 0) is; infinite where there is none. */
  at(which: number): number {
    while (this.#count <= which) {
      if (this.#count === this.#times.length) {
        if (this.#count >= this.#most) throw tooManyFailures('one after another');
        const longer = new Float64Array(Math.min(this.#most, 2 * this.#count));
        longer.set(this.#times);
        this.#times = longer;
      }
      this.#times[this.#count] = this.#make(this.#count);
      this.#count += 1;
    }
    return this.#times[which] as number;
  }

  #make(which: number): number {
    const failures = this.#failures;
    if (failures.kind === 'trace') return this.#ofTrace(failures, which);
    const gap = this.#random.exponential();
    this.#amount += failures.kind === 'poisson' ? gap : this.#scale * gap ** this.#power;
    return momentOf(failures.mtbf_s, this.#amount);
  }

  #ofTrace({ times_s, period_s = times_s.at(-1) ?? 0, randomStart }: Failures & { kind: 'trace' }, which: number): number {
    if (randomStart !== true) return times_s[which] ?? Number.POSITIVE_INFINITY;
    if (times_s.length === 0) return Number.POSITIVE_INFINITY;
    const position = this.#first + which;
    const rounds = Math.floor(position / times_s.length);
    return (times_s[position % times_s.length] as number) + rounds * period_s - this.#offset;
  }
}
