/** Captures everything that an optimizer will go on from. */
import type { Optimizer, Tensor } from '@tensorflow/tfjs';
import { HoldfastError } from '../../errors.js';
import type { TensorInput } from '../../snapshot/source.js';
import type { OptimizerRecord } from '../../tfjs-record/extension.js';
import type { OptimizerKind } from '../../tfjs-record/optimizer-kinds.js';
import type { TensorCapture } from '../tensors/capture-tensor.js';
import type { NamedWeight, Weights } from '../weights/weights.js';
import { classNameOf, kindOf, type OptimizerFields, type Slot } from './kinds.js';

/** An optimizer's state at one moment. */
export interface CapturedOptimizer {
  readonly record: OptimizerRecord;
  readonly tensors: readonly TensorInput[];
}

/**
 * Captures `optimizer`, synchronously. Slots are named after the weights they belong to, `<weight>/<suffix>`, so
 * that they can be checked by name when they are restored: tfjs itself goes by position.
 *
 * Throws `ERR_MODEL` for an optimizer that is not known or that has trained other weights.
 */
export function captureOptimizer(weights: Weights, optimizer: Optimizer, capture: TensorCapture): CapturedOptimizer {
  const kind = kindOf(optimizer);
  const fields = optimizer as unknown as OptimizerFields;
  const owners = slotOwners(weights, optimizer, kind);
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

/** Which weight each slot belongs to, in the optimizer's order. Throws `ERR_MODEL`. */
export function slotOwners(weights: Weights, optimizer: Optimizer, kind: OptimizerKind): NamedWeight[] {
  const first = kind.slots[0];
  const slots = first === undefined ? [] : ((optimizer as unknown as OptimizerFields)[first.field] as Slot[]);
  const byVariable = new Map(weights.all.map((weight) => [weight.variableName, weight]));
  // fit takes slot i for trained weight i, whatever its name says; a loop of the caller's own may have any order.
  const inOrder = optimizer === weights.optimizer ? weights.trained : undefined;
  const seen = new Set<string>();
  return slots.map(({ originalName, variable }, i) => {
    const named = byVariable.get(originalName.slice(0, originalName.lastIndexOf('/')));
    const owner = inOrder === undefined ? named : inOrder[i];
    const fits =
      owner !== undefined &&
      !seen.has(owner.name) &&
      sameShape(owner.variable.shape, variable.shape) &&
      (named === undefined || named.name === owner.name);
    if (!fits) throw foreignSlot(weights, originalName, i, owner);
    seen.add(owner.name);
    return owner;
  });
}

function foreignSlot({ kind }: Weights, slot: string, index: number, owner: NamedWeight | undefined): HoldfastError {
  const which = `The optimizer's slot ${index}, ${JSON.stringify(slot)}, `;
  const variable = JSON.stringify(slot.slice(0, slot.lastIndexOf('/')));
  const what =
    owner !== undefined
      ? `does not belong to the weight ${JSON.stringify(owner.name)} that it is used for`
      : kind === 'model'
        ? 'does not belong to a trained weight of this model'
        : `is of the variable ${variable}, which is not among those that are saved`;
  const advice =
    kind === 'model'
      ? 'Was it used with another model, or were layers frozen after training began? Compile the model with a new optimizer, or save with includeOptimizer: false.'
      : owner === undefined
        ? 'Add that variable, or save with includeOptimizer: false.'
        : 'Was it given other variables, or in another order, from one step to the next? tfjs goes by their position. Use a new optimizer, or save with includeOptimizer: false.';
  return new HoldfastError('ERR_MODEL', `${which}${what}. ${advice}`, { tensors: [slot] });
}

/** A list may be empty (RMSProp's when it is not centered), but not of another length than the rest. */
function assertSlotCount(field: string, slots: readonly Slot[], owners: readonly NamedWeight[]): void {
  if (slots.length === 0 || slots.length === owners.length) return;
  throw new HoldfastError(
    'ERR_MODEL',
    `The optimizer has ${slots.length} entries in ${field} for ${owners.length} weights. It was changed from outside.`,
  );
}

export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, i) => size === b[i]);
}
