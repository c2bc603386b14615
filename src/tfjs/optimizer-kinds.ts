/**
 * Where each optimizer of TensorFlow.js keeps its state, as data. Read from the sources of tfjs-core 4.22
 * (dist/optimizers): its own getWeights is asynchronous, leaves out Adam's running products of beta, and
 * throws for Adamax, so training would not continue bit by bit.
 */
import type { Optimizer, Tensor, Variable } from '@tensorflow/tfjs';
import { HoldfastError, isHoldfastError } from '../errors.js';

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

const KINDS: Readonly<Record<string, OptimizerKind>> = {
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

/** tfjs' record of one slot. */
export interface Slot {
  originalName: string;
  variable: Variable;
}

/** An optimizer as its kind describes it; the fields are private to tfjs. */
export type OptimizerFields = Record<string, Slot[] | Tensor | number | boolean | null | undefined>;

/** The class name under which tfjs knows the optimizer. */
export function classNameOf(optimizer: Optimizer): string {
  return optimizer.getClassName();
}

export function findKind(className: string): OptimizerKind | undefined {
  return Object.hasOwn(KINDS, className) ? KINDS[className] : undefined;
}

/** How the optimizer keeps its state. Throws `ERR_MODEL` for one that is not tfjs' own, or whose fields have moved. */
export function kindOf(optimizer: Optimizer): OptimizerKind {
  const className = classNameOf(optimizer);
  const kind = findKind(className);
  if (kind === undefined) {
    throw new HoldfastError(
      'ERR_MODEL',
      `The state of the optimizer ${className} is not known. Known are ${Object.keys(KINDS).join(', ')}. Save with includeOptimizer: false, and its state through "state".`,
    );
  }
  const fields = optimizer as unknown as OptimizerFields;
  const moved = [
    ...kind.slots.filter(({ field }) => !Array.isArray(fields[field])).map(({ field }) => field),
    ...kind.scalars.filter(({ field }) => !isScalar(fields[field])).map(({ field }) => field),
    ...kind.hyperparameters.filter((field) => !['number', 'boolean'].includes(typeof fields[field])),
  ];
  if (moved.length === 0) return kind;
  throw new HoldfastError(
    'ERR_MODEL',
    `This ${className} does not keep ${moved.join(', ')} where TensorFlow.js 4.22 does, so its state cannot be saved without loss. Save with includeOptimizer: false.`,
  );
}

/** Whether it is one of tfjs' own, as this module knows it. */
export function isKnown(optimizer: Optimizer): boolean {
  try {
    kindOf(optimizer);
    return true;
  } catch (error) {
    if (isHoldfastError(error, 'ERR_MODEL')) return false;
    throw error;
  }
}

function isScalar(value: OptimizerFields[string]): value is Tensor {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && value.rank === 0 && value.dtype === 'float32';
}
