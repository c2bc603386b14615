/** The learning rate of every optimizer of TensorFlow.js. */
import type { Optimizer, SGDOptimizer } from '@tensorflow/tfjs';
import { HoldfastError } from '../../errors.js';

interface WithLearningRate {
  learningRate: number;
}

/** The rate that the next step is made with. Throws `ERR_MODEL` for an optimizer that has none where those of TensorFlow.js have it. */
export function learningRateOf(optimizer: Optimizer): number {
  const { learningRate } = optimizer as unknown as Partial<WithLearningRate>;
  if (typeof learningRate === 'number') return learningRate;
  throw new HoldfastError(
    'ERR_MODEL',
    `The optimizer ${optimizer.getClassName()} has no number "learningRate", so its learning rate can neither be read nor set. Change it in a callback of your own.`,
  );
}

/**
 * Sets it from the next step on. SGD and Momentum train with a tensor that only their own method replaces; the others (Adagrad, Adadelta, RMSProp,
 * Adam, Adamax) read the number at every step. Throws as {@link learningRateOf}.
 */
export function setLearningRate(optimizer: Optimizer, rate: number): void {
  learningRateOf(optimizer);
  const { setLearningRate: own } = optimizer as Partial<SGDOptimizer>;
  if (typeof own === 'function') own.call(optimizer as SGDOptimizer, rate);
  else (optimizer as unknown as WithLearningRate).learningRate = rate;
}
