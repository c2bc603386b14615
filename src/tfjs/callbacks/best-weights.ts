/** A model's weights of an earlier moment, to be put back. */
import type { LayersModel, Tensor, Variable } from '@tensorflow/tfjs';
import type { RestoredTensor } from '../../catalog/tensor.js';
import { HoldfastError } from '../../errors.js';
import { runningEngine } from '../engine.js';
import { placeOf, shareTensor } from '../tensors/backends.js';
import { assertMakeable, toTensor } from '../tensors/tensors.js';
import { layerVariables, toNamedWeight } from '../weights/weights.js';

/**
 * Held as tensors that share the data of that moment, wherever it is: taking them costs microseconds per weight, and memory only once training has
 * replaced the weights, as much as these have. `release` lets them go.
 */
export class HeldWeights {
  private readonly held: { readonly name: string; readonly variable: Variable; readonly value: Tensor }[] = [];

  private constructor(readonly model: LayersModel) {}

  /** Throws if a weight is disposed; nothing is held then. */
  static take(model: LayersModel): HeldWeights {
    const weights = new HeldWeights(model);
    try {
      for (const { name, variable } of layerVariables(model).map(toNamedWeight)) {
        weights.held.push({ name, variable, value: shareTensor(variable, placeOf(variable)) });
      }
      return weights;
    } catch (error) {
      weights.release();
      throw error;
    }
  }

  /** Those that `tensors` gave in an earlier process. Throws `ERR_STATE` if they are not the model's; nothing is held then. */
  static from(model: LayersModel, stored: ReadonlyMap<string, RestoredTensor>): HeldWeights {
    const engine = runningEngine();
    const weights = new HeldWeights(model);
    try {
      for (const { name, variable } of layerVariables(model).map(toNamedWeight)) {
        const tensor = stored.get(name);
        if (tensor === undefined) throw new HoldfastError('ERR_STATE', `The weights of the best epoch lack ${JSON.stringify(name)}.`);
        assertMakeable(tensor, variable, name);
        weights.held.push({ name, variable, value: engine.keep(toTensor(tensor, variable, name, engine)) });
      }
      return weights;
    } catch (error) {
      weights.release();
      throw error;
    }
  }

  /** By the weights' names; they stay held here. */
  get tensors(): Record<string, Tensor> {
    return Object.fromEntries(this.held.map(({ name, value }) => [name, value]));
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
