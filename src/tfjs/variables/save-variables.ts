/** Saving variables of a loop that trains with core operations, and the optimizer, with all that training goes on from. */
import type { Optimizer } from '@tensorflow/tfjs';
import { assertKnown } from '../../known-options.js';
import type { CheckpointManager } from '../../manager/manager.js';
import type { SaveResult } from '../../manager/save.js';
import type { PendingSave } from '../../manager/saver.js';
import type { StepResult } from '../../manager/stepper.js';
import {
  type CapturedWeights,
  captureWeights,
  SAVE_MODEL_ASYNC_KEYS,
  SAVE_MODEL_KEYS,
  type SaveModelAsyncOptions,
  type SaveModelOptions,
} from '../weights/capture-weights.js';
import { type StepModelOptions, saveCaptured, saveCapturedAsync, stepCaptured } from '../weights/save-captured.js';
import { type Variables, weightsOfVariables } from './variables.js';

/** What of the options is said otherwise of variables. */
interface OptimizerOfVariables {
  /**
   * The optimizer that trains them, or some of them: its state is saved with them, and a variable that it has trained must be among those that
   * are saved. Default: none, for a loop that keeps all its state in variables.
   */
  readonly optimizer?: Optimizer | undefined;
  /** Whether its state is saved. Default: if one is given, and the manager was not opened for weights. With false the checkpoint holds weights only. */
  readonly includeOptimizer?: boolean | undefined;
}

/** Options of {@link saveVariables}: those of `saveModel`. */
export interface SaveVariablesOptions extends Omit<SaveModelOptions, keyof OptimizerOfVariables>, OptimizerOfVariables {}

/** Options of {@link saveVariablesAsync}. */
export interface SaveVariablesAsyncOptions extends Omit<SaveModelAsyncOptions, keyof OptimizerOfVariables>, OptimizerOfVariables {}

/** Options of {@link stepVariables}: those of `saveVariablesAsync`. What is costly to make may be a function. */
export interface StepVariablesOptions extends Omit<StepModelOptions, keyof OptimizerOfVariables>, OptimizerOfVariables {}

/**
 * Saves variables under the names that they are given with, and the state of `optimizer`; resolves when the checkpoint is durable. Values, optimizer slots,
 * iterations and learning rate are all captured before the call returns to the event loop: training may go on at once, and the checkpoint is of one
 * step. All dtypes are saved as `saveModel` does; there is no model.json. When the call settles, no tensor is left of it.
 *
 * In the checkpoint a slot is named after its variable (`embedding/m`). A model's weights may be restored from it, and variables from a model's
 * checkpoint, where names and shapes fit.
 *
 * Throws what `manager.save` throws; `ERR_INVALID_ARGUMENT` for what is no variable, has no name or is there twice; `ERR_MODEL` for a variable that is
 * disposed, an unknown optimizer, or one that has trained a variable that is not saved. Nothing is written then.
 */
export async function saveVariables(manager: CheckpointManager, variables: Variables, options: SaveVariablesOptions): Promise<SaveResult> {
  const started = performance.now();
  assertKnown('saveVariables', options, SAVE_MODEL_KEYS);
  return saveCaptured(manager, captureVariables(manager, variables, options, started));
}

/**
 * As {@link saveVariables}, but resolves as soon as training may go on, to what `manager.saveAsync` gives: `committed` then tells when the
 * checkpoint is durable, `stallMs` how long the call took. If the save is skipped, nothing is held.
 *
 * Throws what `manager.saveAsync` throws, and as {@link saveVariables}; `ERR_SOURCE` comes through `committed`.
 */
export async function saveVariablesAsync(
  manager: CheckpointManager,
  variables: Variables,
  options: SaveVariablesAsyncOptions,
): Promise<PendingSave> {
  const started = performance.now();
  assertKnown('saveVariablesAsync', options, SAVE_MODEL_ASYNC_KEYS);
  return saveCapturedAsync(manager, captureVariables(manager, variables, options, started), options.whenBusy);
}

/**
 * One step of training: saves the variables in the background, as {@link saveVariablesAsync} does, if the `trigger` that the directory was opened with says so,
 * and does nothing if not. Call it behind every step or epoch. Resolves to what `manager.step` gives: whether a save was `due`, why, and the `pending` save.
 *
 * Throws `ERR_INVALID_ARGUMENT` where the manager has no trigger, and if a save is due what {@link saveVariablesAsync} throws.
 */
export async function stepVariables(manager: CheckpointManager, variables: Variables, options: StepVariablesOptions): Promise<StepResult> {
  assertKnown('stepVariables', options, SAVE_MODEL_ASYNC_KEYS);
  return stepCaptured(manager, options, (now, started) => captureVariables(manager, variables, now, started));
}

function captureVariables(
  manager: CheckpointManager,
  variables: Variables,
  options: SaveVariablesOptions,
  started: number,
): CapturedWeights {
  return captureWeights(manager, weightsOfVariables(variables), undefined, options, started);
}
