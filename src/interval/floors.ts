/** What keeps an interval from being as short as the optimum, and what of a save counts as its cost. */
import { assertCount, assertNotNegative, assertObject, assertPositive, assertShare, finite, refuse } from './checks.js';

/** A save that is written while training goes on. */
export interface BackgroundSave {
  /** c: for how long it blocks training, in seconds. At least 0. */
  readonly stall_s: number;
  /** σ: the share, from 0 to 1, by which training is slower until the checkpoint is durable. */
  readonly slowdown: number;
  /** P: seconds from the snapshot to the durable checkpoint. At least 0. */
  readonly persist_s: number;
}

/**
 * c + σ·P: what an asynchronous save takes from training, in seconds. To first order: the work that is not done in P seconds at 1 − σ of the speed.
 * Throws `ERR_INVALID_ARGUMENT`.
 */
export function effectiveCost_s(save: BackgroundSave): number {
  const where = 'effectiveCost_s';
  const { stall_s, slowdown, persist_s } = assertObject(where, save);
  assertNotNegative(where, { stall_s, slowdown, persist_s });
  if (slowdown > 1) throw refuse(where, 'slowdown', slowdown, 'a share from 0 to 1');
  return finite(stall_s + slowdown * persist_s);
}

/** Saves of which several may be in flight. */
export interface SavesInFlight {
  /** c, in seconds. At least 0. */
  readonly stall_s: number;
  /** P, in seconds. At least 0. */
  readonly persist_s: number;
  /** σ: a share from 0 to 1; 1 where training waits for all of it. Default 0. */
  readonly slowdown?: number | undefined;
  /** N: a whole number of at least 1. */
  readonly maxInFlight: number;
}

/**
 * P/N − c − σP, and 0 where that is negative, in seconds of work: with at most N saves in flight, τ + c + σP ≥ P/N, or saves would come faster than they
 * become durable. F. Strati et al., "PCcheck: persistent concurrent checkpointing for ML", ASPLOS 2025, say the same in steps, for the slowed-down
 * iteration: {@link pccheckFrequency}. Throws `ERR_INVALID_ARGUMENT`.
 */
export function inFlightFloor_s(save: SavesInFlight): number {
  const where = 'inFlightFloor_s';
  const { stall_s, persist_s, slowdown = 0, maxInFlight } = assertObject(where, save);
  assertNotNegative(where, { stall_s, persist_s, slowdown });
  if (slowdown > 1) throw refuse(where, 'slowdown', slowdown, 'a share from 0 to 1');
  assertCount(where, 'maxInFlight', maxInFlight);
  return Math.max(0, persist_s / maxInFlight - stall_s - slowdown * persist_s);
}

/**
 * What a save costs with an interval that is shorter than `floor_s` of {@link inFlightFloor_s}, in seconds: training waits for the difference, until the save
 * before it is durable. Throws `ERR_INVALID_ARGUMENT`.
 */
export function costWithWait_s(given: { readonly cost_s: number; readonly interval_s: number; readonly floor_s: number }): number {
  const where = 'costWithWait_s';
  const { cost_s, interval_s, floor_s } = assertObject(where, given);
  assertNotNegative(where, { cost_s, interval_s, floor_s });
  return finite(cost_s + Math.max(0, floor_s - interval_s));
}

/**
 * c/q, in seconds: the shortest interval with which saving takes no more than the share q (`maxOverhead`, between 0 and 1) of the work's time.
 * J. Mohan, A. Phanishayee and V. Chidambaram, "CheckFreq: frequent, fine-grained DNN checkpointing", FAST 2021. Throws `ERR_INVALID_ARGUMENT`.
 */
export function budgetFloor_s(given: { readonly cost_s: number; readonly maxOverhead: number }): number {
  const where = 'budgetFloor_s';
  const { cost_s, maxOverhead } = assertObject(where, given);
  assertPositive(where, { cost_s });
  assertShare(where, 'maxOverhead', maxOverhead);
  return finite(cost_s / maxOverhead);
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

/** By so much a quotient may be off by rounding: 40.000000000000007 steps are 40. */
const ROUNDING = 1e-12;

/**
 * The least f with f ≥ T_w/(N·q·t): save every f iterations. A whole number of at least 1. F. Strati et al., "PCcheck: persistent concurrent
 * checkpointing for ML", ASPLOS 2025. Throws `ERR_INVALID_ARGUMENT`.
 */
export function pccheckFrequency(given: PccheckTimes): number {
  const where = 'pccheckFrequency';
  const { write_s, step_s, slowdownFactor, maxInFlight } = assertObject(where, given);
  assertPositive(where, { write_s, step_s });
  assertCount(where, 'maxInFlight', maxInFlight);
  if (!(Number.isFinite(slowdownFactor) && slowdownFactor > 1)) {
    throw refuse(where, 'slowdownFactor', slowdownFactor, 'a factor above 1, such as 1.05 for 5 % longer');
  }
  const steps = write_s / maxInFlight / slowdownFactor / step_s;
  return Math.min(Number.MAX_SAFE_INTEGER, Math.max(1, Math.ceil(steps * (1 - ROUNDING))));
}
