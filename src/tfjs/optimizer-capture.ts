/** Captures everything that an optimizer will go on from. */
import type { LayersModel, Optimizer, Tensor } from '@tensorflow/tfjs';
import { HoldfastError } from '../errors.js';
import type { TensorInput } from '../snapshot/source.js';
import type { OptimizerRecord } from '../tfjs-record/extension.js';
import type { TensorCapture } from './capture-tensor.js';
import { classNameOf, kindOf, type OptimizerFields, type OptimizerKind, type Slot } from './optimizer-kinds.js';
import { type NamedWeight, trainedWeights } from './weights.js';

/** An optimizer's state at one moment. */
export interface CapturedOptimizer {
  readonly record: OptimizerRecord;
  readonly tensors: readonly TensorInput[];
}

/**
 * Captures `optimizer`, synchronously. Slots are named after the weights they belong to, `<weight>/<suffix>`, so
 * that they can be checked by name when they are restored: tfjs itself goes by position.
 *
 * Throws `ERR_MODEL` for an optimizer that is not known or that does not belong to the model.
 */
export function captureOptimizer(
  model: LayersModel,
  optimizer: Optimizer,
  weights: readonly NamedWeight[],
  capture: TensorCapture,
): CapturedOptimizer {
  const kind = kindOf(optimizer);
  const fields = optimizer as unknown as OptimizerFields;
  const owners = slotOwners(model, optimizer, kind, fields, weights);
  const tensors: TensorInput[] = kind.scalars.map(({ name, field }) => capture.take(fields[field] as Tensor, name));
  for (const { suffix, field } of kind.slots) {
    assertSlotCount(field, fields[field] as Slot[], owners);
    (fields[field] as Slot[]).forEach(({ variable }, i) => {
      const { name } = owners[i] as NamedWeight;
      tensors.push(capture.take(variable, `${name}/${suffix}`));
    });
  }
  const hyperparameters = Object.fromEntries(kind.hyperparameters.map((field) => [field, fields[field] as number | boolean]));
  const { iterations } = optimizer;
  return { record: { className: classNameOf(optimizer), iterations, hyperparameters, slots: owners.map(({ name }) => name) }, tensors };
}

/** Which weight each slot belongs to, in the optimizer's order. */
function slotOwners(
  model: LayersModel,
  optimizer: Optimizer,
  kind: OptimizerKind,
  fields: OptimizerFields,
  weights: readonly NamedWeight[],
): NamedWeight[] {
  const first = kind.slots[0];
  const slots = first === undefined ? [] : (fields[first.field] as Slot[]);
  const byVariable = new Map(weights.map((weight) => [weight.variableName, weight]));
  const trained = trainedWeights(model);
  // fit takes slot i for trained weight i, whatever its name says; a loop of the caller's own may have any order.
  const ownLoop = optimizer !== model.optimizer;
  return slots.map(({ originalName, variable }, i) => {
    const named = byVariable.get(originalName.slice(0, originalName.lastIndexOf('/')));
    const owner = ownLoop ? named : trained[i];
    const fits =
      owner !== undefined && sameShape(owner.variable.shape, variable.shape) && (named === undefined || named.name === owner.name);
    if (fits) return owner;
    throw new HoldfastError(
      'ERR_MODEL',
      `The optimizer's slot ${i}, ${JSON.stringify(originalName)}, does not belong to ${owner === undefined ? 'a trained weight of this model' : `the weight ${JSON.stringify(owner.name)} that it is used for`}. ` +
        'Was it used with another model, or were layers frozen after training began? Compile the model with a new optimizer, or save with includeOptimizer: false.',
      { tensors: [originalName] },
    );
  });
}

/** A list may be empty (RMSProp's when it is not centered), but not of another length than the rest. */
function assertSlotCount(field: string, slots: readonly Slot[], owners: readonly NamedWeight[]): void {
  if (slots.length === 0 || slots.length === owners.length) return;
  throw new HoldfastError(
    'ERR_MODEL',
    `The optimizer has ${slots.length} entries in ${field} for ${owners.length} weights. It was changed from outside.`,
  );
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, i) => size === b[i]);
}
