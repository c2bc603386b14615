/**
 * Where each optimizer of TensorFlow.js keeps its state, as data. Read from the sources of tfjs-core 4.22
 * (dist/optimizers): its own getWeights is asynchronous, leaves out Adam's running products of beta, and
 * throws for Adamax, so training would not continue bit by bit.
 */

/** One variable per trained weight, called `<weight>/<suffix>`. */
export interface SlotField {
  readonly suffix: string;
  /** The optimizer's private list of them, in the order of the trained weights. */
  readonly field: string;
}

/** One scalar per optimizer. */
export interface ScalarField {
  /** Its name in optimizer.safetensors; slots always have a `/` in theirs. */
  readonly name: string;
  readonly field: string;
}

export interface OptimizerKind {
  readonly slots: readonly SlotField[];
  readonly scalars: readonly ScalarField[];
  /** Numbers and flags of its configuration; each is a field of the same name. */
  readonly hyperparameters: readonly string[];
}

/** By the class name under which tfjs knows the optimizer. Slots are in the order in which tfjs' own getWeights gives them. */
export const KINDS: Readonly<Record<string, OptimizerKind>> = {
  SGD: { slots: [], scalars: [{ name: 'negative_learning_rate', field: 'c' }], hyperparameters: ['learningRate'] },
  Momentum: {
    slots: [{ suffix: 'momentum', field: 'accumulations' }],
    // setMomentum changes the number alone: what is trained with is the tensor.
    scalars: [
      { name: 'negative_learning_rate', field: 'c' },
      { name: 'momentum', field: 'm' },
    ],
    hyperparameters: ['learningRate', 'momentum', 'useNesterov'],
  },
  RMSProp: {
    slots: [
      { suffix: 'rms', field: 'accumulatedMeanSquares' },
      { suffix: 'momentum', field: 'accumulatedMoments' },
      // Empty unless `centered`.
      { suffix: 'mg', field: 'accumulatedMeanGrads' },
    ],
    scalars: [],
    hyperparameters: ['learningRate', 'decay', 'momentum', 'epsilon', 'centered'],
  },
  Adagrad: {
    slots: [{ suffix: 'accumulator', field: 'accumulatedGrads' }],
    scalars: [],
    hyperparameters: ['learningRate', 'initialAccumulatorValue'],
  },
  Adadelta: {
    slots: [
      { suffix: 'accum_grad', field: 'accumulatedGrads' },
      { suffix: 'accum_var', field: 'accumulatedUpdates' },
    ],
    scalars: [],
    hyperparameters: ['learningRate', 'rho', 'epsilon'],
  },
  Adam: {
    slots: [
      { suffix: 'm', field: 'accumulatedFirstMoment' },
      { suffix: 'v', field: 'accumulatedSecondMoment' },
    ],
    scalars: [
      { name: 'accBeta1', field: 'accBeta1' },
      { name: 'accBeta2', field: 'accBeta2' },
    ],
    hyperparameters: ['learningRate', 'beta1', 'beta2', 'epsilon'],
  },
  Adamax: {
    slots: [
      { suffix: 'm', field: 'accumulatedFirstMoment' },
      { suffix: 'v', field: 'accumulatedWeightedInfNorm' },
    ],
    scalars: [
      { name: 'accBeta1', field: 'accBeta1' },
      { name: 'iteration', field: 'iteration' },
    ],
    hyperparameters: ['learningRate', 'beta1', 'beta2', 'epsilon', 'decay'],
  },
};

export function findKind(className: string): OptimizerKind | undefined {
  return Object.hasOwn(KINDS, className) ? KINDS[className] : undefined;
}
