/** Layers that were frozen, or thawed, after the model was compiled. */
import type { LayersModel } from '@tensorflow/tfjs';
import { trainedWeights } from '../weights/weights.js';
import type { Warning } from './problem.js';

/**
 * tfjs goes on training what was trainable at `compile`, but writes down what is trainable now: a model that is loaded trains other weights, and state
 * of the optimizer does not fit them.
 */
export function changedTrainable(model: LayersModel): Warning[] {
  if (!model.optimizer) return [];
  const [trained, now] = [trainedWeights(model).map(({ name }) => name), model.trainableWeights.map(({ originalName }) => originalName)];
  const [frozen, thawed] = [trained.filter((name) => !now.includes(name)), now.filter((name) => !trained.includes(name))];
  const names = [...frozen, ...thawed];
  if (names.length === 0) return [];
  const what = [
    ...(frozen.length > 0 ? [`${frozen.join(', ')} ${are(frozen)} not trainable any more and still trained`] : []),
    ...(thawed.length > 0 ? [`${thawed.join(', ')} ${are(thawed)} trainable and not trained`] : []),
  ].join('; ');
  const message = `After the model was compiled, "trainable" was changed: ${what}. A model that is loaded trains what is trainable, so the optimizer's state does not fit it. Compile the model again, or load it with includeOptimizer: false.`;
  return [{ problem: 'changed-trainable', message, names }];
}

function are({ length }: readonly string[]): string {
  return length === 1 ? 'is' : 'are';
}
