/** What is saved and restored by name: a model's weights, or variables of the caller's. */
import type { LayersModel, Optimizer, Variable } from '@tensorflow/tfjs';
import { HoldfastError } from '../../errors.js';

/** One weight. */
export interface NamedWeight {
  /** In a checkpoint. Of a model: tfjs' own name of it, such as `dense_1/kernel`, the same in every process that builds the same model. */
  readonly name: string;
  /** Its name among the engine's variables, which may carry a suffix to be unique. Optimizers use this one. */
  readonly variableName: string;
  readonly variable: Variable;
}

/** Weights that are saved and restored together, and who trains them. */
export interface Weights {
  /** Where they are: in a model, or in the hands of the caller. */
  readonly kind: 'model' | 'variables';
  /** In the model's order, or the caller's. */
  readonly all: readonly NamedWeight[];
  /** Those that `fit` trains, in the order in which it hands them to the optimizer; of bare variables only the caller's loop knows. */
  readonly trained: readonly NamedWeight[] | undefined;
  /** The optimizer that the model was compiled with. */
  readonly optimizer: Optimizer | undefined;
}

/** What messages call them, and what restores them. */
export const WORDS: Readonly<Record<Weights['kind'], { readonly name: string; readonly restore: string }>> = {
  model: { name: 'the model', restore: 'restoreModel' },
  variables: { name: 'the variables', restore: 'restoreVariables' },
};

/** Of a model. Throws as {@link namedWeights}. */
export function weightsOf(model: LayersModel): Weights {
  const all = namedWeights(model);
  const optimizer: Optimizer | null | undefined = model.optimizer;
  return { kind: 'model', all, trained: trainedWeights(model), optimizer: optimizer ?? undefined };
}

/** What is used of tfjs' LayerVariable, which its types leave out in part. */
export interface LayerVariable {
  readonly originalName: string;
  readonly name: string;
  read(): Variable;
}

/** Parts of a model that its types call protected. */
interface ModelInternals {
  readonly collectedTrainableWeights?: readonly LayerVariable[];
  /** A Sequential trains through a model that it keeps inside. */
  readonly model?: ModelInternals;
}

/**
 * Every weight, trainable or not, in the model's order. Throws `ERR_INVALID_ARGUMENT` for what is no model, `ERR_MODEL` if it has no layers,
 * if a weight is disposed, or if two have one name.
 */
function namedWeights(model: LayersModel): NamedWeight[] {
  const weights = layerVariables(model).map(toNamedWeight);
  assertDistinct(weights);
  return weights;
}

/** Throws `ERR_MODEL` if two weights have one name. */
export function assertDistinct(weights: readonly { readonly name: string }[]): void {
  const names = new Set<string>();
  const duplicates = new Set<string>();
  for (const { name } of weights) {
    if (names.has(name)) duplicates.add(name);
    names.add(name);
  }
  if (duplicates.size === 0) return;
  const list = [...duplicates].map((name) => JSON.stringify(name)).join(', ');
  throw new HoldfastError(
    'ERR_MODEL',
    `Several weights of the model are named ${list}, so they could not be told apart when they are loaded. Give every layer a name of its own: tf.layers.dense({ name: 'head', … }).`,
    { tensors: [...duplicates] },
  );
}

/** The weights that `fit` trains, in the order in which it hands them to the optimizer. */
export function trainedWeights(model: LayersModel): NamedWeight[] {
  const internals = model as unknown as ModelInternals;
  // What was trainable when the model was compiled is what counts, as tfjs itself warns.
  const collected = internals.model?.collectedTrainableWeights ?? internals.collectedTrainableWeights;
  return (collected ?? (model.trainableWeights as unknown as LayerVariable[])).map(toNamedWeight);
}

/** Of every layer. Throws `ERR_INVALID_ARGUMENT` for what is no model, `ERR_MODEL` if it has no layers. */
export function layerVariables(model: LayersModel): readonly LayerVariable[] {
  if (typeof model !== 'object' || model === null || typeof model.toJSON !== 'function' || !('layers' in model)) {
    throw new HoldfastError('ERR_INVALID_ARGUMENT', 'Give a tf.LayersModel: one of tf.sequential, tf.model or tf.loadLayersModel.');
  }
  if (model.layers.length === 0) {
    throw new HoldfastError('ERR_MODEL', 'The model has no layers. Add some before it is saved or restored.');
  }
  return model.weights as unknown as LayerVariable[];
}

/** Throws `ERR_MODEL` for one that is disposed. */
export function toNamedWeight(weight: LayerVariable): NamedWeight {
  try {
    return { name: weight.originalName, variableName: weight.name, variable: weight.read() };
  } catch (cause) {
    throw new HoldfastError(
      'ERR_MODEL',
      `The weight ${JSON.stringify(weight.originalName)} is disposed; the model can no longer be used.`,
      {
        tensors: [weight.originalName],
        cause,
      },
    );
  }
}
