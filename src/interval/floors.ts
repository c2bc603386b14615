/** What keeps an interval from being as short as the optimum, and what of a save counts as its cost. */
import { HoldfastError } from '../errors.js';
import { assertCount, assertNotNegative, assertPositive, assertShare } from './checks.js';

/**
 * c + σ·P: what an asynchronous save takes from training, in seconds. `slowdown` is the share, from 0 to 1, by which training is slower for `persist_s`
 * seconds. Throws `ERR_INVALID_ARGUMENT`.
 */
export function effectiveCost_s(save: { readonly stall_s: number; readonly slowdown: number; readonly persist_s: number }): number {
  const { stall_s, slowdown, persist_s } = save;
  assertNotNegative('effectiveCost_s', { stall_s, slowdown, persist_s });
  if (slowdown > 1) {
    throw new HoldfastError('ERR_INVALID_ARGUMENT', `effectiveCost_s: slowdown is a share from 0 to 1, not ${slowdown}.`);
  }
  return stall_s + slowdown * persist_s;
}

/**
 * P/N − c, and 0 where that is negative: with at most N saves in flight, τ + c ≥ P/N, or saves would come faster than they become durable.
 * Throws `ERR_INVALID_ARGUMENT`.
 */
export function inFlightFloor_s(save: { readonly stall_s: number; readonly persist_s: number; readonly maxInFlight: number }): number {
  const { stall_s, persist_s, maxInFlight } = save;
  assertNotNegative('inFlightFloor_s', { stall_s, persist_s });
  assertCount('inFlightFloor_s', 'maxInFlight', maxInFlight);
  return Math.max(0, persist_s / maxInFlight - stall_s);
}

/**
 * c/q: the shortest interval with which saving takes no more than the share q of the work's time. J. Mohan, A. Phanishayee and V. Chidambaram, "CheckFreq: frequent,
 * fine-grained DNN checkpointing", FAST 2021. Throws `ERR_INVALID_ARGUMENT`.
 */
export function budgetFloor_s({ cost_s, maxOverhead }: { readonly cost_s: number; readonly maxOverhead: number }): number {
  assertPositive('budgetFloor_s', { cost_s });
  assertShare('budgetFloor_s', 'maxOverhead', maxOverhead);
  return cost_s / maxOverhead;
}

/** What {@link pccheckFrequency} takes. */
export interface PccheckTimes {
  /** T_w: seconds that a checkpoint takes to be written. */
  readonly write_s: number;
  /** t: seconds of an iteration. */
  readonly step_s: number;
  /** q: by which factor training may be slower, such as 1.05. Above 1. */
  readonly slowdownFactor: number;
  /** N: checkpoints that are written at the same time. */
  readonly maxInFlight: number;
}

/**
 * The least f with f ≥ T_w/(N·q·t): save every f iterations. F. Strati et al., "PCcheck: persistent concurrent checkpointing for ML", ASPLOS 2025. Throws
 * `ERR_INVALID_ARGUMENT`.
 */
export function pccheckFrequency({ write_s, step_s, slowdownFactor, maxInFlight }: PccheckTimes): number {
  assertPositive('pccheckFrequency', { write_s, step_s });
  assertCount('pccheckFrequency', 'maxInFlight', maxInFlight);
  if (!(Number.isFinite(slowdownFactor) && slowdownFactor > 1)) {
    throw new HoldfastError(
      'ERR_INVALID_ARGUMENT',
      `pccheckFrequency: slowdownFactor is a factor above 1, such as 1.05 for 5 % longer, not ${String(slowdownFactor)}.`,
    );
  }
  return Math.max(1, Math.ceil(write_s / (maxInFlight * slowdownFactor * step_s)));
}
