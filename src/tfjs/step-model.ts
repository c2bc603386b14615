/** Saving a model as training goes on, when the manager's trigger says so. */
import type { LayersModel } from '@tensorflow/tfjs';
import type { CheckpointManager } from '../manager/manager.js';
import { assertKnown } from '../manager/options.js';
import { callFunctions, type OrFunctions, type StepResult } from '../manager/stepper.js';
import { type CapturedModel, captureModel, SAVE_MODEL_ASYNC_KEYS, type SaveModelAsyncOptions } from './save-model.js';

/** What may be a function in {@link StepModelOptions}: it is called only if a save is due, and its outcome captured at once. */
type Costly = Pick<SaveModelAsyncOptions, 'state' | 'scheduler' | 'rng' | 'dataPosition' | 'config'>;

const COSTLY = ['state', 'scheduler', 'rng', 'dataPosition', 'config'] as const satisfies readonly (keyof Costly)[];

/** Options of {@link stepModel}: those of `saveModelAsync`. What is costly to make may be a function. */
export interface StepModelOptions extends Omit<SaveModelAsyncOptions, keyof Costly>, OrFunctions<Costly> {}

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
  const { step, epoch, metrics } = options;
  let captured: CapturedModel | undefined;
  let result: StepResult | undefined;
  try {
    result = await manager.step({ step, epoch, metrics }, () => {
      const started = performance.now();
      const { whenBusy, ...rest } = callFunctions<Costly, StepModelOptions>(options, COSTLY);
      captured = captureModel(manager, model, rest, started);
      return { ...captured.request, whenBusy };
    });
    return result;
  } finally {
    // What is accepted is released by the save, when it is over.
    if (result?.pending?.status !== 'accepted') captured?.capture.release();
  }
}
