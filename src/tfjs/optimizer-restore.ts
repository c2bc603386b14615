/** Puts a saved optimizer's state back, so that the next step is the one that would have come next. */
import type { LayersModel, Optimizer, Tensor, Variable } from '@tensorflow/tfjs';
import type { RestoredTensor } from '../catalog/tensor.js';
import type { OptimizerRecord } from '../tfjs-record/extension.js';
import type { Engine } from './engine.js';
import { compareTensors, type Mismatch } from './mismatch.js';
import { classNameOf, kindOf, type OptimizerFields, type OptimizerKind, type Slot } from './optimizer-kinds.js';
import { type TensorPlace, toTensor } from './tensors.js';
import { type NamedWeight, trainedWeights } from './weights.js';

/** A checked restoration: {@link PreparedOptimizer.load} makes its tensors, `apply` then cannot fail half-way. */
export interface PreparedOptimizer {
  readonly mismatches: readonly Mismatch[];
  /** Makes the tensors, to be disposed by the caller once they are applied. */
  load(engine: Engine): Map<string, Tensor>;
  apply(tensors: ReadonlyMap<string, Tensor>, engine: Engine): void;
}

/**
 * Compares the saved state with `optimizer`. `rename` gives the model's name of a weight for the name that it was
 * saved under. Throws `ERR_MODEL` for an optimizer that is not known.
 */
export function prepareOptimizer(
  model: LayersModel,
  optimizer: Optimizer,
  weights: readonly NamedWeight[],
  record: OptimizerRecord,
  stored: ReadonlyMap<string, RestoredTensor>,
  rename: (name: string) => string,
): PreparedOptimizer {
  const kind = kindOf(optimizer);
  const className = classNameOf(optimizer);
  if (className !== record.className) {
    const what = `different: the optimizer is ${record.className} in the checkpoint and ${className} in the model`;
    return { mismatches: [{ tensor: className, what }], load: () => new Map(), apply: () => {} };
  }
  const saved = record.slots.map(rename);
  const owners = orderOwners(model, optimizer, weights, saved, kind);
  const places = placesOf(kind, record, owners);
  const renamed = renameSlots(stored, record.slots, rename);
  const mismatches = [
    ...owners.problems,
    ...compareTensors('optimizer tensor', renamed, places).mismatches,
    ...kind.hyperparameters
      .filter((name) => !Object.hasOwn(record.hyperparameters, name))
      .map((name) => ({ tensor: name, what: `missing from the checkpoint: optimizer setting ${name}` })),
  ];
  return {
    mismatches,
    load: (engine) => loadAll(renamed, places, engine),
    apply: (tensors, engine) => applyState(optimizer, kind, record, owners.list, tensors, engine),
  };
}

interface Owners {
  /** The weights that get slots, in the order in which this optimizer will be handed them. */
  readonly list: readonly NamedWeight[];
  readonly problems: readonly Mismatch[];
}

function orderOwners(
  model: LayersModel,
  optimizer: Optimizer,
  weights: readonly NamedWeight[],
  saved: readonly string[],
  kind: OptimizerKind,
): Owners {
  if (saved.length === 0 || kind.slots.length === 0) return { list: [], problems: [] };
  // fit uses slot i for trained weight i. A loop of the caller's own is taken to keep its order.
  const byName = new Map(weights.map((weight) => [weight.name, weight]));
  const trained = optimizer === model.optimizer ? trainedWeights(model) : saved.flatMap((name) => byName.get(name) ?? []);
  const trainedNames = new Set(trained.map(({ name }) => name));
  const savedNames = new Set(saved);
  const problems = [
    ...saved
      .filter((name) => !trainedNames.has(name))
      .map((name) => ({
        tensor: name,
        what: `only in the checkpoint: optimizer state of ${JSON.stringify(name)}, which the model does not train`,
      })),
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

/** The stored tensors under the names that they have in this model. */
function renameSlots(
  stored: ReadonlyMap<string, RestoredTensor>,
  slots: readonly string[],
  rename: (name: string) => string,
): Map<string, RestoredTensor> {
  const known = new Set(slots);
  const renamed = new Map<string, RestoredTensor>();
  for (const [name, tensor] of stored) {
    const cut = name.lastIndexOf('/');
    const owner = name.slice(0, Math.max(cut, 0));
    renamed.set(known.has(owner) ? `${rename(owner)}${name.slice(cut)}` : name, tensor);
  }
  return renamed;
}

function loadAll(
  stored: ReadonlyMap<string, RestoredTensor>,
  places: ReadonlyMap<string, TensorPlace>,
  engine: Engine,
): Map<string, Tensor> {
  const tensors = new Map<string, Tensor>();
  try {
    for (const [name, place] of places) tensors.set(name, toTensor(stored.get(name) as RestoredTensor, place, name, engine));
    return tensors;
  } catch (error) {
    for (const tensor of tensors.values()) tensor.dispose();
    throw error;
  }
}

function applyState(
  optimizer: Optimizer,
  kind: OptimizerKind,
  record: OptimizerRecord,
  owners: readonly NamedWeight[],
  tensors: ReadonlyMap<string, Tensor>,
  engine: Engine,
): void {
  const fields = optimizer as unknown as OptimizerFields;
  for (const name of kind.hyperparameters) fields[name] = record.hyperparameters[name];
  fields['iterations_'] = record.iterations;
  for (const { name, field } of kind.scalars) {
    const now = fields[field] as Tensor | Variable;
    const tensor = tensors.get(name) as Tensor;
    if ('assign' in now) now.assign(tensor);
    else {
      now.dispose();
      fields[field] = engine.keep(tensor.clone());
    }
  }
  for (const { suffix, field } of kind.slots) {
    for (const { variable } of fields[field] as Slot[]) variable.dispose();
    fields[field] = owners.flatMap(({ name, variableName }) => {
      const tensor = tensors.get(`${name}/${suffix}`);
      return tensor === undefined ? [] : [{ originalName: `${variableName}/${suffix}`, variable: engine.makeVariable(tensor, false) }];
    });
  }
}
