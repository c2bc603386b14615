/** Quantities that change while a job runs: they are data, so that they can be sent to other threads. */
import { HoldfastError } from '../../errors.js';
import { assertNotNegative, assertObject, assertPositive, refuse } from '../checks.js';

/** From `start` to `end`, by the same factor in equal times (geometrically), within `over_s` seconds of wall time; then it stays. */
export interface Drift {
  readonly start: number;
  readonly end: number;
  readonly over_s: number;
}

/** Numbers of drifts are up to this, and down to 1 by it: quotients and products of others are no numbers any more. */
const MOST_DRIFTED = 1e100;

/** `start`, and from each moment on (seconds of wall time, ascending) another value. */
export interface Steps {
  readonly start: number;
  readonly steps: readonly { readonly from_s: number; readonly value: number }[];
}

/** A constant, or a function of the wall time since the job began. */
export type Varying = number | Drift | Steps;

/** Its value at a moment. */
export function valueAt(varying: Varying, now_s: number): number {
  if (typeof varying === 'number') return varying;
  if ('steps' in varying) return varying.steps.findLast(({ from_s }) => from_s <= now_s)?.value ?? varying.start;
  const { start, end, over_s } = varying;
  return now_s >= over_s ? end : start * (end / start) ** (now_s / over_s);
}

/** The largest value it has at any time. */
export function greatest(varying: Varying): number {
  if (typeof varying === 'number') return varying;
  if ('steps' in varying) return varying.steps.reduce((most, { value }) => Math.max(most, value), varying.start);
  return Math.max(varying.start, varying.end);
}

/** Throws `ERR_INVALID_ARGUMENT` unless all of its values are finite and at least 0, or above 0 with `positive`. */
export function assertVarying(where: string, name: string, varying: Varying, { positive }: { readonly positive: boolean }): void {
  const assertValue = positive ? assertPositive : assertNotNegative;
  if (typeof varying !== 'object' || varying === null) {
    assertValue(where, { [name]: varying });
    return;
  }
  if (!('steps' in varying)) {
    // A drift by a factor never leaves 0.
    const { start, end, over_s } = varying;
    const numbers = { [`${name}.start`]: start, [`${name}.end`]: end, [`${name}.over_s`]: over_s };
    assertPositive(where, numbers);
    for (const [each, value] of Object.entries(numbers)) {
      if (value < 1 / MOST_DRIFTED || value > MOST_DRIFTED) throw refuse(where, each, value, `from ${1 / MOST_DRIFTED} to ${MOST_DRIFTED}`);
    }
    return;
  }
  const { start, steps } = varying;
  assertValue(where, { [`${name}.start`]: start });
  if (!Array.isArray(steps)) throw new HoldfastError('ERR_INVALID_ARGUMENT', `${where}: ${name}.steps must be a list.`);
  let before = 0;
  for (const [i, step] of (steps as Steps['steps']).entries()) {
    const { from_s, value } = assertObject(`${where}: ${name}.steps[${i}]`, step);
    assertValue(where, { [`${name}.steps[${i}].value`]: value });
    assertPositive(where, { [`${name}.steps[${i}].from_s`]: from_s });
    if (from_s <= before) {
      throw new HoldfastError('ERR_INVALID_ARGUMENT', `${where}: ${name}.steps[${i}].from_s (${from_s}) must be above the one before it.`);
    }
    before = from_s;
  }
}

/**
 * The moment at which the integral of 1/`mean_s` over wall time reaches `amount`: where `mean_s` is the mean time between failures, the
 * expected number of failures up to then (time change of a Poisson process: Çınlar, Introduction to Stochastic Processes, 1975).
 */
export function momentOf(mean_s: Varying, amount: number): number {
  if (typeof mean_s === 'number') return amount * mean_s;
  if ('steps' in mean_s) return momentOfSteps(mean_s, amount);
  const { start, end, over_s } = mean_s;
  const growth = Math.log(end / start);
  if (growth === 0) return amount * start;
  // ∫₀ᵗ dx / (start·e^{growth·x/over}) = over/(start·growth) · (1 − e^{−growth·t/over})
  const whole = (-over_s / (start * growth)) * Math.expm1(-growth);
  if (amount > whole) return over_s + (amount - whole) * end;
  return (-over_s / growth) * Math.log1p((-amount * start * growth) / over_s);
}

function momentOfSteps({ start, steps }: Steps, amount: number): number {
  let from = 0;
  let left = amount;
  let value = start;
  for (const step of steps) {
    const share = (step.from_s - from) / value;
    if (left <= share) break;
    left -= share;
    from = step.from_s;
    value = step.value;
  }
  return from + left * value;
}
