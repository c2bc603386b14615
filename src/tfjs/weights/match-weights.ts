/** Which tensor of a checkpoint is for which weight, and whether it fits. */
import type { RestoredTensor } from '../../catalog/tensor.js';
import { HoldfastError } from '../../errors.js';
import { type Renaming, toRenaming } from '../../manager/expectation.js';
import type { Restored } from '../../manager/restore.js';
import type { TfjsExtension } from '../../tfjs-record/extension.js';
import type { TensorPlace } from '../tensors/tensors.js';
import { type Comparison, compareTensors } from './mismatch.js';
import { type NamedWeight, type Weights, WORDS } from './weights.js';

/** How weights are found in a checkpoint. */
export interface MatchOptions {
  readonly match?: 'name' | 'position' | undefined;
  readonly rename?: Renaming | undefined;
}

/** A weight, and the tensor that is for it. */
export interface FittingWeight {
  readonly weight: NamedWeight;
  readonly tensor: RestoredTensor;
}

/** Weights and a checkpoint's tensors, compared. */
export interface MatchedWeights extends Comparison {
  /** In the order of the weights. */
  readonly fitting: readonly FittingWeight[];
  /** For the name that a weight was saved under that of the weight it is for; for one that is for none, a name that no weight has. */
  nameOf(saved: string): string;
}

/**
 * Compares weights with the tensors of a checkpoint. Throws `ERR_MODEL_MISMATCH` where positions are asked for and the checkpoint has
 * none, `ERR_INVALID_ARGUMENT` for what `rename` gives.
 */
export function matchWeights(
  { kind, all: weights }: Weights,
  { tensors, info }: Restored,
  extension: TfjsExtension | undefined,
  { match: by = 'name', rename }: MatchOptions,
): MatchedWeights {
  // Asked for once per weight, whatever a function of the caller's gives the second time.
  const names = by === 'name' ? renamed(weights, rename) : positions(weights, tensors, extension, info.name);
  const places = new Map<string, TensorPlace>(weights.map(({ name, variable }) => [name, variable]));
  const strings = new Map((extension?.strings ?? []).map(({ name, shape }) => [name, shape]));
  const options = { strings, rename: (name: string) => names.get(name) as string, where: WORDS[kind].name };
  const comparison = compareTensors(kind === 'model' ? 'weight' : 'variable', tensors, places, options);
  const { matched, renamed: others } = comparison.match;
  const fits = new Set([...matched, ...others.map(({ name }) => name)]);
  const fitting = weights
    .filter(({ name }) => fits.has(name))
    .map((weight) => ({ weight, tensor: tensors.get(names.get(weight.name) as string) as RestoredTensor }));
  const bySaved = new Map([...names].map(([name, saved]) => [saved, name]));
  return { ...comparison, fitting, nameOf: (saved) => bySaved.get(saved) ?? unused(saved, ' (for no weight)', places) };
}

function renamed(weights: readonly NamedWeight[], rename: Renaming | undefined): Map<string, string> {
  const renaming = toRenaming(rename);
  return new Map(weights.map(({ name }) => [name, renaming(name)]));
}

function positions(
  weights: readonly NamedWeight[],
  tensors: ReadonlyMap<string, RestoredTensor>,
  extension: TfjsExtension | undefined,
  checkpoint: string,
): Map<string, string> {
  if (extension === undefined) {
    throw new HoldfastError(
      'ERR_MODEL_MISMATCH',
      `${checkpoint} was not saved with saveModel or saveVariables, so its weights have no order. Match by name.`,
      { checkpoint },
    );
  }
  return new Map(weights.map(({ name }, i) => [name, extension.weights[i] ?? unused(`${name} (nothing at its position)`, '_', tensors)]));
}

/** `name`, with as much behind it that nothing in `taken` has it. */
function unused(name: string, behind: string, taken: { has(name: string): boolean }): string {
  let found = name;
  while (taken.has(found)) found += behind;
  return found;
}
