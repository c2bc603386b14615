/** A model's weights of an earlier moment, to be put back. */
import type { LayersModel, Tensor, Variable } from '@tensorflow/tfjs';
import { placeOf, shareTensor } from '../tensors/backends.js';

/**
 * Held as tensors that share the data of that moment, wherever it is: taking them costs microseconds per weight, and memory only once training has
 * replaced the weights, as much as these have. `release` lets them go.
 */
export class HeldWeights {
  private readonly held: { readonly variable: Variable; readonly value: Tensor }[] = [];

  private constructor(readonly model: LayersModel) {}

  /** Throws if a weight is disposed; nothing is held then. */
  static take(model: LayersModel): HeldWeights {
    const weights = new HeldWeights(model);
    try {
      for (const weight of model.weights as unknown as readonly { read(): Variable }[]) {
        const variable = weight.read();
        weights.held.push({ variable, value: shareTensor(variable, placeOf(variable)) });
      }
      return weights;
    } catch (error) {
      weights.release();
      throw error;
    }
  }

  /** Puts them back. Not through `setWeights`: that applies the weights' constraints once more, which changes bits. */
  restore(): void {
    for (const { variable, value } of this.held) variable.assign(value);
  }

  /** Calling it again does nothing. */
  release(): void {
    for (const { value } of this.held.splice(0)) value.dispose();
  }
}
