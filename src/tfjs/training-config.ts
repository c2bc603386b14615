/** How a model was compiled: what tfjs can write down of it, and compiling again from that. */
import type { LayersModel } from '@tensorflow/tfjs';
import { HoldfastError } from '../errors.js';
import type { Json } from '../format/state.js';

/** Parts of a model that its types call protected. */
interface TrainingInternals {
  readonly loss: unknown;
  isOptimizerOwned: boolean;
  getTrainingConfig(): unknown;
  loadTrainingConfig(config: unknown): void;
}

/**
 * tfjs' training configuration, or `null` where the model is not compiled or tfjs cannot write it down: a loss given
 * as a function (which tfjs itself would save as `{}`), and then `warning` says so.
 */
export function captureTrainingConfig(model: LayersModel): { config: Json; warning?: string } {
  if (model.optimizer === undefined || model.optimizer === null) return { config: null };
  const internals = model as unknown as TrainingInternals;
  const unknown = (what: string) => ({
    config: null,
    warning: `${what}, so the checkpoint does not say how the model was compiled. Give loadModel the option "compile", or build and compile the model and use restoreModel.`,
  });
  if (typeof internals.loss === 'function') return unknown('The loss is a function');
  try {
    return { config: JSON.parse(JSON.stringify(internals.getTrainingConfig())) as Json };
  } catch (error) {
    return unknown(`TensorFlow.js cannot write down the training configuration (${(error as Error).message})`);
  }
}

/** Compiles `model` as it was compiled when it was saved. Throws `ERR_MODEL` if tfjs cannot. */
export function applyTrainingConfig(model: LayersModel, config: Json): void {
  const internals = model as unknown as TrainingInternals;
  try {
    internals.loadTrainingConfig(config);
    // Nobody else has this optimizer, so it goes with model.dispose().
    internals.isOptimizerOwned = true;
  } catch (cause) {
    throw new HoldfastError(
      'ERR_MODEL',
      `The model cannot be compiled as it was when it was saved: ${(cause as Error).message} If its metrics or optimizer are your own, give loadModel the option "compile".`,
      { cause },
    );
  }
}
