/** Puts a saved optimizer's state back, so that the next step is the one that would have come next. */
import type { Optimizer, Tensor, Variable } from '@tensorflow/tfjs';
import type { RestoredTensor } from '../../catalog/tensor.js';
import type { OptimizerRecord } from '../../tfjs-record/extension.js';
import type { OptimizerKind } from '../../tfjs-record/optimizer-kinds.js';
import { isRunTensor } from '../../tfjs-record/run-tensors.js';
import type { Engine } from '../engine.js';
import type { Placement } from '../tensors/placement.js';
import type { TensorPlace } from '../tensors/tensors.js';
import { compareTensors, type Mismatch } from '../weights/mismatch.js';
import { type NamedWeight, type Weights, WORDS } from '../weights/weights.js';
import { sameShape } from './capture.js';
import { classNameOf, kindOf, type OptimizerFields, type Slot } from './kinds.js';
import { followNames } from './slot-order.js';

/** A checked restoration. */
export interface PreparedOptimizer {
  readonly mismatches: readonly Mismatch[];
  /** Where its tensors go, if there are no mismatches; nothing is changed by the call. To be put there, and then {@link finish}. */
  place(engine: Engine): { readonly placements: readonly Placement[]; finish(): void };
}

/**
 * Compares the saved state with `optimizer`. `rename` gives the name of a weight for the name that it was saved
 * under. Throws `ERR_MODEL` for an optimizer that is not known.
 */
export function prepareOptimizer(
  weights: Weights,
  optimizer: Optimizer,
  record: OptimizerRecord,
  stored: ReadonlyMap<string, RestoredTensor>,
  rename: (name: string) => string,
): PreparedOptimizer {
  const kind = kindOf(optimizer);
  const className = classNameOf(optimizer);
  const where = WORDS[weights.kind].name;
  if (className !== record.className) {
    const here = weights.kind === 'model' ? 'in the model' : 'here';
    const what = `different: the optimizer is ${record.className} in the checkpoint and ${className} ${here}`;
    return { mismatches: [{ tensor: className, what }], place: () => ({ placements: [], finish() {} }) };
  }
  const saved = record.slots.map(rename);
  const owners = orderOwners(weights, optimizer, saved, kind);
  const places = placesOf(kind, record, owners);
  const renamed = renameSlots(stored, record.slots, rename);
  const mismatches = [
    ...owners.problems,
    ...compareTensors('optimizer tensor', renamed, places, { where }).mismatches,
    ...kind.hyperparameters
      .filter((name) => !Object.hasOwn(record.hyperparameters, name))
      .map((name) => ({ tensor: name, what: `missing from the checkpoint: optimizer setting ${name}` })),
  ];
  return { mismatches, place: (engine) => new StateToPlace(optimizer, kind, record, renamed, engine).place(owners.list, places) };
}

interface Owners {
  /** The weights that get slots, in the order in which this optimizer will be handed them. */
  readonly list: readonly NamedWeight[];
  readonly problems: readonly Mismatch[];
}

function orderOwners(
  { kind: of, all, trained: inOrder, optimizer: own }: Weights,
  optimizer: Optimizer,
  saved: readonly string[],
  kind: OptimizerKind,
): Owners {
  if (saved.length === 0 || kind.slots.length === 0) return { list: [], problems: [] };
  // fit uses slot i for trained weight i. A loop of the caller's own is taken to keep its order.
  const byName = new Map(all.map((weight) => [weight.name, weight]));
  const trained = optimizer === own && inOrder !== undefined ? inOrder : saved.flatMap((name) => byName.get(name) ?? []);
  const trainedNames = new Set(trained.map(({ name }) => name));
  const savedNames = new Set(saved);
  const untrained = of === 'model' ? 'which the model does not train' : 'which is none of the variables';
  const problems = [
    ...saved
      .filter((name) => !trainedNames.has(name))
      .map((name) => ({ tensor: name, what: `only in the checkpoint: optimizer state of ${JSON.stringify(name)}, ${untrained}` })),
    ...trained
      .filter(({ name }) => !savedNames.has(name))
      .map(({ name }) => ({
        tensor: name,
        what: `missing from the checkpoint: optimizer state of ${JSON.stringify(name)}, which the model trains`,
      })),
  ];
  return { list: problems.length > 0 ? trained.filter(({ name }) => savedNames.has(name)) : trained, problems };
}

function placesOf(kind: OptimizerKind, { hyperparameters }: OptimizerRecord, { list }: Owners): Map<string, TensorPlace> {
  const places = new Map<string, TensorPlace>(kind.scalars.map(({ name }) => [name, { dtype: 'float32', shape: [] }]));
  for (const { suffix } of kind.slots) {
    if (suffix === 'mg' && hyperparameters['centered'] !== true) continue;
    for (const { name, variable } of list) places.set(`${name}/${suffix}`, { dtype: 'float32', shape: variable.shape });
  }
  return places;
}

/** The stored tensors under the names that they have here. */
function renameSlots(
  stored: ReadonlyMap<string, RestoredTensor>,
  slots: readonly string[],
  rename: (name: string) => string,
): Map<string, RestoredTensor> {
  const known = new Set(slots);
  const renamed = new Map<string, RestoredTensor>();
  for (const [name, tensor] of stored) {
    if (isRunTensor(name)) continue;
    const cut = name.lastIndexOf('/');
    const owner = name.slice(0, Math.max(cut, 0));
    renamed.set(known.has(owner) ? `${rename(owner)}${name.slice(cut)}` : name, tensor);
  }
  return renamed;
}

/** State that fits, on its way into an optimizer. */
class StateToPlace {
  private readonly fields: OptimizerFields;

  constructor(
    private readonly optimizer: Optimizer,
    private readonly kind: OptimizerKind,
    private readonly record: OptimizerRecord,
    private readonly stored: Map<string, RestoredTensor>,
    private readonly engine: Engine,
  ) {
    this.fields = optimizer as unknown as OptimizerFields;
  }

  place(owners: readonly NamedWeight[], places: ReadonlyMap<string, TensorPlace>): ReturnType<PreparedOptimizer['place']> {
    const { fields, kind, record } = this;
    const placements: Placement[] = [];
    const add = (name: string, replaces: boolean, put: Placement['put']) => {
      const [place, stored] = [places.get(name), this.stored.get(name)];
      if (place !== undefined && stored !== undefined) placements.push({ name, place, stored, replaces, put });
    };
    for (const { name, field } of kind.scalars) add(name, true, (value) => this.putScalar(field, value));
    const lists = kind.slots.map(({ suffix, field }) => {
      const before = fields[field] as Slot[];
      const unused = new Map(before.filter(({ variable }) => !variable.isDisposed).map((slot) => [slot.originalName, slot]));
      const after: Slot[] = [];
      for (const [i, { name, variableName, variable: owner }] of owners.entries()) {
        if (!places.has(`${name}/${suffix}`)) continue;
        const originalName = `${variableName}/${suffix}`;
        const slot = unused.get(originalName);
        const fits = slot !== undefined && sameShape(slot.variable.shape, owner.shape);
        if (fits) unused.delete(originalName);
        if (fits) after[i] = slot;
        add(`${name}/${suffix}`, fits, (value) => {
          if (fits) slot.variable.assign(value);
          else after[i] = { originalName, variable: this.engine.makeVariable(value, false) };
        });
      }
      return { field, before, after };
    });
    // Whoever has the placements lets the memory go one by one, so nothing here may hold it.
    this.stored.clear();
    const finish = () => {
      for (const name of kind.hyperparameters) fields[name] = record.hyperparameters[name];
      fields['iterations_'] = record.iterations;
      for (const { field, before, after } of lists) {
        const kept = new Set(after);
        for (const slot of before) if (!kept.has(slot)) slot.variable.dispose();
        fields[field] = after;
      }
      followNames(this.optimizer, kind);
    };
    return { placements: placements.splice(0), finish };
  }

  private putScalar(field: string, value: Tensor): void {
    const now = this.fields[field] as Tensor | Variable;
    if ('assign' in now) now.assign(value);
    else {
      now.dispose();
      this.fields[field] = this.engine.keep(value.clone());
    }
  }
}
