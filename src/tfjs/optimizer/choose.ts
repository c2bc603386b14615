/** Whether an optimizer is restored along with its weights. */
import type { Optimizer } from '@tensorflow/tfjs';
import { HoldfastError } from '../../errors.js';
import type { Restored } from '../../manager/restore.js';
import type { OptimizerRecord } from '../../tfjs-record/extension.js';
import type { MatchedWeights } from '../weights/match-weights.js';
import { type Weights, WORDS } from '../weights/weights.js';
import { isKnown } from './kinds.js';
import { type PreparedOptimizer, prepareOptimizer } from './restore.js';

/** What an optimizer is restored from, and into. */
export interface OptimizerSide {
  readonly weights: Weights;
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

/** Strict: both sides must have one, or neither. Throws `ERR_MODEL_MISMATCH`, `ERR_MODEL`. */
export function prepareIfWanted(
  side: OptimizerSide,
  { includeOptimizer, optimizer: given }: OptimizerOptions,
): PreparedOptimizer | undefined {
  if (includeOptimizer === false) return undefined;
  const { weights, restored, record, matched } = side;
  const optimizer = given ?? weights.optimizer;
  const { name } = restored.info;
  if (record !== undefined && optimizer) return prepareOptimizer(weights, optimizer, record, restored.optimizer, matched.nameOf);
  if (record === undefined && !optimizer && includeOptimizer !== true) return undefined;
  const isModel = weights.kind === 'model';
  const what =
    record === undefined
      ? `${name} has no optimizer state, so training cannot go on from it exactly`
      : `${name} has the state of an optimizer (${record.className}), but ${isModel ? 'the model is not compiled' : 'no optimizer was given'}`;
  const pass = isModel ? 'Compile the model first, or pass the optimizer. ' : 'Pass the optimizer. ';
  throw new HoldfastError(
    'ERR_MODEL_MISMATCH',
    `${what}. ${record === undefined ? '' : pass}To take the weights alone, give includeOptimizer: false. Nothing in ${WORDS[weights.kind].name} was changed.`,
    { checkpoint: name },
  );
}

/** Weak: only where all of its state fits and every weight that is trained does; else undefined. With `includeOptimizer: true` as strict. */
export function prepareIfItFits(side: OptimizerSide, options: OptimizerOptions): PreparedOptimizer | undefined {
  if (options.includeOptimizer === true) return prepareIfWanted(side, options);
  const { weights, record, matched } = side;
  const optimizer = options.optimizer ?? weights.optimizer;
  if (record === undefined || !optimizer || !isKnown(optimizer)) return undefined;
  // One without state per weight, such as SGD, fits every model; but its settings are those of the training that other weights come from.
  const fitting = new Set(matched.fitting.map(({ weight }) => weight.name));
  const trained = weights.trained ?? weights.all.filter(({ variable }) => variable.trainable);
  if (!trained.every(({ name }) => fitting.has(name))) return undefined;
  const prepared = prepareIfWanted(side, options);
  return prepared?.mismatches.length === 0 ? prepared : undefined;
}
