/** The fields of a live optimizer, as its kind describes them. */
import type { Optimizer, Tensor, Variable } from '@tensorflow/tfjs';
import { HoldfastError, isHoldfastError } from '../../errors.js';
import { findKind, KINDS, type OptimizerKind } from '../../tfjs-record/optimizer-kinds.js';

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
