/**
 * The order of an optimizer's restored slots. tfjs uses slot i for the i-th variable that it is given, whatever the slot's name says, and only the first step
 * after a restore tells which variable that is: in a loop of the caller's own the variables may have been made, or listed, in another order than before.
 */
import type { Optimizer } from '@tensorflow/tfjs';
import { HoldfastError } from '../../errors.js';
import type { OptimizerKind } from '../../tfjs-record/optimizer-kinds.js';
import type { OptimizerFields, Slot } from './kinds.js';

type Gradients = Parameters<Optimizer['applyGradients']>[0];

const waiting = new WeakSet<Optimizer>();

/**
 * Has the slots follow the names of the variables at the optimizer's next step, whose `applyGradients` throws `ERR_MODEL_MISMATCH`, before anything is
 * changed, if it is given other variables than the slots are of.
 */
export function followNames(optimizer: Optimizer, kind: OptimizerKind): void {
  if (kind.slots.length === 0 || waiting.has(optimizer)) return;
  waiting.add(optimizer);
  const own = Object.getOwnPropertyDescriptor(optimizer, 'applyGradients');
  const value = (gradients: Gradients) => {
    arrange(optimizer as unknown as OptimizerFields, kind, namesOf(gradients));
    waiting.delete(optimizer);
    if (own === undefined) delete (optimizer as { applyGradients?: unknown }).applyGradients;
    else Object.defineProperty(optimizer, 'applyGradients', own);
    optimizer.applyGradients(gradients);
  };
  Object.defineProperty(optimizer, 'applyGradients', { value, configurable: true, writable: true, enumerable: false });
}

function namesOf(gradients: Gradients): string[] {
  return Array.isArray(gradients) ? gradients.map(({ name }) => name) : Object.keys(gradients);
}

function arrange(fields: OptimizerFields, kind: OptimizerKind, names: readonly string[]): void {
  const lists = kind.slots
    .map(({ suffix, field }) => ({ field, suffix, slots: fields[field] as Slot[] }))
    .filter(({ slots }) => slots.length > 0);
  const first = lists[0];
  if (first === undefined) return;
  const owners = first.slots.map(({ originalName }) => originalName.slice(0, originalName.lastIndexOf('/')));
  // Variables that come behind those that it knows get slots of their own, as in a run that was not interrupted.
  if (owners.every((owner, i) => owner === names[i])) return;
  const [given, known] = [new Set(names), new Set(owners)];
  const wrong = [...owners.filter((name) => !given.has(name)), ...names.filter((name) => !known.has(name))];
  if (wrong.length > 0 || given.size !== names.length || known.size !== owners.length) throw otherVariables(wrong);
  const order = names.map((name) => owners.indexOf(name));
  for (const { field, slots } of lists) fields[field] = order.map((i) => slots[i] as Slot);
}

function otherVariables(names: readonly string[]): HoldfastError {
  return new HoldfastError(
    'ERR_MODEL_MISMATCH',
    `The optimizer was restored with state of other variables than this step trains; not the same: ${names.map((name) => JSON.stringify(name)).join(', ')}. ` +
      'TensorFlow.js would go by their positions, and use the state of one variable for another. Give it the variables that were trained before: ' +
      'optimizer.minimize(f, false, [a, b, …]).',
    { tensors: names },
  );
}
