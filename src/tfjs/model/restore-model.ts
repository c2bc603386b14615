/** Restoring a model so that training goes on as if it had never stopped. */
import type { LayersModel } from '@tensorflow/tfjs';
import type { CheckpointManager } from '../../manager/manager.js';
import type { CallOptions } from '../../manager/options.js';
import type { Restored } from '../../manager/restore.js';
import type { RestoreTarget } from '../../manager/target.js';
import { restoreFor } from '../choose-checkpoint.js';
import { applyToWeights, checkRestoreOptions, type RestoredModel, type RestoreModelOptions } from '../weights/apply-restored.js';
import { weightsOf } from '../weights/weights.js';

export type { RestoredModel, RestoreModelOptions } from '../weights/apply-restored.js';

/**
 * Restores weights, optimizer slots, iterations and hyperparameters into `model`, which must be the same model, compiled with an
 * optimizer of the same class; training then continues bit by bit. With `mode: 'weak'` it may be another one, such as one with a new head.
 * Names, shapes and dtypes are all checked before anything is changed: when it throws, nothing in the model has, but for `ERR_HALF_RESTORED`.
 *
 * Tensors are made one after another, and each lets go of the one in whose place it comes: the device holds at most what it will hold in
 * the end, and one tensor more.
 *
 * Gives `null` where there is no checkpoint at all. Throws what `manager.restore` throws; `ERR_MODEL_MISMATCH`, listing
 * every difference, if checkpoint and model do not fit; `ERR_MODEL` for a model without layers or one that is disposed, or if the backend cannot
 * make the tensors; `ERR_HALF_RESTORED` if it could make some and then failed: the model must then not be used.
 */
export async function restoreModel(
  manager: CheckpointManager,
  model: LayersModel,
  target: RestoreTarget = 'latest',
  options: RestoreModelOptions = {},
): Promise<RestoredModel | null> {
  const { signal, onProgress, ...rest } = checkRestoreOptions('restoreModel', options);
  const { optimizer } = weightsOf(model);
  const wantsOptimizer = rest.includeOptimizer ?? (rest.optimizer ?? optimizer) !== undefined;
  const restored = await restoreFor(manager, target, { signal, onProgress }, wantsOptimizer);
  return restored === null ? null : applyRestored(model, restored, rest);
}

/** Puts a checkpoint that was read into `model`, as `applyToWeights` does. */
export function applyRestored(
  model: LayersModel,
  restored: Restored,
  options: Omit<RestoreModelOptions, keyof CallOptions>,
): RestoredModel {
  return applyToWeights(weightsOf(model), restored, options);
}
