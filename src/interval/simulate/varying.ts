/** Quantities that change while a job runs: they are data, so that they can be sent to other threads. */
import { HoldfastError } from '../../errors.js';

/** From `start` to `end`, by the same factor in equal times (geometrically), within `over_s` seconds of wall time; then it stays. */
export interface Drift {
  readonly start: number;
  readonly end: number;
  readonly over_s: number;
}

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
  if ('steps' in varying) return Math.max(varying.start, ...varying.steps.map(({ value }) => value));
  return Math.max(varying.start, varying.end);
}

/** Throws `ERR_INVALID_ARGUMENT` unless all of its values are finite and at least 0, or above 0 with `positive`. */
export function assertVarying(where: string, varying: Varying, { positive }: { readonly positive: boolean }): void {
  const value = (name: string, given: unknown) => {
    if (typeof given === 'number' && Number.isFinite(given) && (positive ? given > 0 : given >= 0)) return;
    throw invalid(`${name} must be a finite number ${positive ? 'above 0' : 'of at least 0'}, not ${String(given)}.`);
  };
  if (typeof varying !== 'object' || varying === null) {
    value(where, varying);
    return;
  }
  if (!('steps' in varying)) {
    // A drift by a factor never leaves 0.
    for (const name of ['start', 'end', 'over_s'] as const) assertPositive(`${where}.${name}`, varying[name]);
    return;
  }
  value(`${where}.start`, varying.start);
  if (!Array.isArray(varying.steps)) throw invalid(`${where}.steps must be a list.`);
  let before = 0;
  for (const [i, step] of (varying as Steps).steps.entries()) {
    value(`${where}.steps[${i}].value`, step.value);
    if (!(Number.isFinite(step.from_s) && step.from_s > before)) {
      throw invalid(`${where}.steps[${i}].from_s must be above the one before it, not ${String(step.from_s)}.`);
    }
    before = step.from_s;
  }
}

/** Throws `ERR_INVALID_ARGUMENT` unless `given` is a finite number above 0. */
export function assertPositive(where: string, given: unknown): void {
  if (typeof given === 'number' && Number.isFinite(given) && given > 0) return;
  throw invalid(`${where} must be a finite number above 0, not ${String(given)}.`);
}

function invalid(message: string): HoldfastError {
  return new HoldfastError('ERR_INVALID_ARGUMENT', message);
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
