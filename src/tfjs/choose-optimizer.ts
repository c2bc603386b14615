/** Whether an optimizer is restored along with its model. */
import type { LayersModel, Optimizer } from '@tensorflow/tfjs';
import { HoldfastError } from '../errors.js';
import type { Restored } from '../manager/restore.js';
import type { OptimizerRecord } from '../tfjs-record/extension.js';
import type { MatchedWeights } from './match-weights.js';
import { isKnown } from './optimizer-kinds.js';
import { type PreparedOptimizer, prepareOptimizer } from './optimizer-restore.js';
import { type NamedWeight, trainedWeights } from './weights.js';

/** What an optimizer is restored from, and into. */
export interface OptimizerSide {
  readonly model: LayersModel;
  readonly weights: readonly NamedWeight[];
  readonly restored: Restored;
  /** Undefined where the checkpoint has no optimizer. */
  readonly record: OptimizerRecord | undefined;
  readonly matched: MatchedWeights;
}

/** What the caller says of it. */
export interface OptimizerOptions {
  readonly includeOptimizer?: boolean | undefined;
  /** Default: the one that the model was compiled with. */
  readonly optimizer?: Optimizer | undefined;
}

/** Strict: checkpoint and model must both have one, or neither. Throws `ERR_MODEL_MISMATCH`, `ERR_MODEL`. */
export function prepareIfWanted(
  side: OptimizerSide,
  { includeOptimizer, optimizer: given }: OptimizerOptions,
): PreparedOptimizer | undefined {
  if (includeOptimizer === false) return undefined;
  const { model, weights, restored, record, matched } = side;
  const optimizer: Optimizer | undefined | null = given ?? model.optimizer;
  const { name } = restored.info;
  if (record !== undefined && optimizer) {
    return prepareOptimizer(model, optimizer, weights, record, restored.optimizer, matched.nameInModel);
  }
  if (record === undefined && !optimizer && includeOptimizer !== true) return undefined;
  const what =
    record === undefined
      ? `${name} has no optimizer state, so training cannot go on from it exactly`
      : `${name} has the state of an optimizer (${record.className}), but the model is not compiled`;
  throw new HoldfastError(
    'ERR_MODEL_MISMATCH',
    `${what}. ${record === undefined ? '' : 'Compile the model first, or pass the optimizer. '}To take the weights alone, give includeOptimizer: false. Nothing in the model was changed.`,
    { checkpoint: name },
  );
}

/** Weak: only where all of its state fits and every weight that the model trains does; else undefined. With `includeOptimizer: true` as strict. */
export function prepareIfItFits(side: OptimizerSide, options: OptimizerOptions): PreparedOptimizer | undefined {
  if (options.includeOptimizer === true) return prepareIfWanted(side, options);
  const { model, record, matched } = side;
  const optimizer: Optimizer | undefined | null = options.optimizer ?? model.optimizer;
  if (record === undefined || !optimizer || !isKnown(optimizer)) return undefined;
  // One without state per weight, such as SGD, fits every model; but its settings are those of the training that other weights come from.
  const fitting = new Set(matched.fitting.map(({ weight }) => weight.name));
  if (!trainedWeights(model).every(({ name }) => fitting.has(name))) return undefined;
  const prepared = prepareIfWanted(side, options);
  return prepared?.mismatches.length === 0 ? prepared : undefined;
}
