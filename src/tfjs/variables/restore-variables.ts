/** Restoring variables so that a loop of core operations goes on as if it had never stopped. */
import type { Optimizer } from '@tensorflow/tfjs';
import type { CheckpointManager } from '../../manager/manager.js';
import type { RestoreTarget } from '../../manager/target.js';
import { restoreFor } from '../choose-checkpoint.js';
import { applyToWeights, checkRestoreOptions, type RestoredModel, type RestoreModelOptions } from '../weights/apply-restored.js';
import { type Variables, weightsOfVariables } from './variables.js';

/** Options of {@link restoreVariables}: those of `restoreModel`. */
export interface RestoreVariablesOptions extends Omit<RestoreModelOptions, 'optimizer' | 'includeOptimizer'> {
  /** The optimizer that trains them, of the class that was saved. One that has not taken a step yet will do. */
  readonly optimizer?: Optimizer | undefined;
  /**
   * Whether the optimizer's state is restored. Default: if the checkpoint has one or one is given, and then both must; with
   * `mode: 'weak'`, if it fits. With true it must be restored, with false the variables alone are taken.
   */
  readonly includeOptimizer?: boolean | undefined;
}

/** What was restored into the variables, and what else the checkpoint holds. */
export interface RestoredVariables extends RestoredModel {}

/**
 * Assigns the values of a checkpoint to variables of the same names, shapes and dtypes, and restores the state of `optimizer`; training then continues bit by bit.
 * All is checked before anything is changed: when it throws, nothing has, but for `ERR_HALF_RESTORED`. The device holds at most what it will hold in
 * the end, and one tensor more.
 *
 * An optimizer goes by the position of a variable among those that it is given (`minimize(f, false, list)`; without a list: in the order in which
 * they were made). If its first step after the restore is in another order than the one that was saved, its state follows
 * the names; if that is of other variables, that step throws `ERR_MODEL_MISMATCH`.
 *
 * Gives `null` where there is no checkpoint at all. Throws what `manager.restore` throws; `ERR_MODEL_MISMATCH`, listing every difference, if checkpoint and
 * variables do not fit; `ERR_INVALID_ARGUMENT` for what is no variable, has no name or is there twice; `ERR_MODEL` for one that is disposed, or if the
 * backend cannot make the tensors; `ERR_HALF_RESTORED` if it could make some and then failed: the variables must then not be used.
 */
export async function restoreVariables(
  manager: CheckpointManager,
  variables: Variables,
  target: RestoreTarget = 'latest',
  options: RestoreVariablesOptions = {},
): Promise<RestoredVariables | null> {
  const { signal, onProgress, ...rest } = checkRestoreOptions('restoreVariables', options);
  weightsOfVariables(variables);
  const wantsOptimizer = rest.includeOptimizer ?? rest.optimizer !== undefined;
  const restored = await restoreFor(manager, target, { signal, onProgress }, wantsOptimizer);
  // Looked at again: what is assigned is what the variables are now.
  return restored === null ? null : applyToWeights(weightsOfVariables(variables), restored, rest);
}
