/** Saving a model as training goes on, when the manager's trigger says so. */
import type { LayersModel } from '@tensorflow/tfjs';
import { assertKnown } from '../../known-options.js';
import type { CheckpointManager } from '../../manager/manager.js';
import type { StepResult } from '../../manager/stepper.js';
import { SAVE_MODEL_ASYNC_KEYS } from '../weights/capture-weights.js';
import { type StepModelOptions, stepCaptured } from '../weights/save-captured.js';
import { captureModel } from './save-model.js';

export type { StepModelOptions } from '../weights/save-captured.js';

/**
 * One step of training: saves the model in the background, as `saveModelAsync` does, if the `trigger` that the directory was opened with says so, and does
 * nothing if not. Call it behind every step or epoch. Resolves to what `manager.step` gives: whether a save was `due`, why, and the `pending` save.
 *
 * With `on.preemption()` it is the next call after the signal that makes the last save, and the process ends when that is durable.
 *
 * Throws `ERR_INVALID_ARGUMENT` where the manager has no trigger, and if a save is due what `saveModelAsync` throws.
 */
export async function stepModel(manager: CheckpointManager, model: LayersModel, options: StepModelOptions): Promise<StepResult> {
  assertKnown('stepModel', options, SAVE_MODEL_ASYNC_KEYS);
  return stepCaptured(manager, options, (now, started) => captureModel(manager, model, now, started));
}
