/** Restoring a model so that training goes on as if it had never stopped. */
import type { LayersModel, Optimizer, Tensor } from '@tensorflow/tfjs';
import { HoldfastError } from '../errors.js';
import type { TensorMatch } from '../format/match-tensors.js';
import type { RunState } from '../format/state.js';
import { toRenaming } from '../manager/expectation.js';
import type { CheckpointManager } from '../manager/manager.js';
import { assertKnown, type CallOptions, oneOf } from '../manager/options.js';
import type { Restored } from '../manager/restore.js';
import type { RestoreTarget } from '../manager/target.js';
import { decodeExtension, EXTENSION_NAME, type TfjsExtension } from '../tfjs-record/extension.js';
import { restoreFor } from './choose-checkpoint.js';
import { type OptimizerSide, prepareIfItFits, prepareIfWanted } from './choose-optimizer.js';
import { runningEngine } from './engine.js';
import { type FittingWeight, type MatchedWeights, matchWeights } from './match-weights.js';
import { mismatchError } from './mismatch.js';
import type { PreparedOptimizer } from './optimizer-restore.js';
import { toTensor } from './tensors.js';
import { type NamedWeight, namedWeights } from './weights.js';

/** Options of {@link restoreModel}. */
export interface RestoreModelOptions extends CallOptions {
  /**
   * `strict` (default): everything must fit, or nothing is restored and `ERR_MODEL_MISMATCH` lists what does not. `weak`: the weights that fit are
   * restored, the rest of the model stays as it is, and `match` tells of it; where nothing fits, it is refused all the same. The
   * optimizer is then restored only if all of its state fits and no weight that the model trains was left out; else it stays as it is, too.
   */
  readonly mode?: 'strict' | 'weak' | undefined;
  /**
   * Whether the optimizer's state is restored. Default: if the checkpoint has one or the model is compiled, and
   * then both must; with `mode: 'weak'`, if it fits. With true it must be restored, with false the weights alone are taken.
   */
  readonly includeOptimizer?: boolean | undefined;
  /** The optimizer of a training loop of your own. Default: the one that the model was compiled with. */
  readonly optimizer?: Optimizer | undefined;
  /**
   * How weights are matched: by `name` (default), or by `position` where the same model has other names, as
   * unnamed layers get when a process builds a model twice. Shapes and dtypes must be equal in both cases.
   */
  readonly match?: 'name' | 'position' | undefined;
  /** For weights that have other names in the checkpoint: those names, by the model's; or a function from one to the other. */
  readonly rename?: Readonly<Record<string, string>> | ((name: string) => string) | undefined;
}

/** What was restored into the model, and what else the checkpoint holds. */
export interface RestoredModel
  extends RunState,
    Pick<Restored, 'info' | 'step' | 'epoch' | 'initialEpoch' | 'metrics' | 'createdAt' | 'software' | 'state' | 'skipped'> {
  readonly optimizerRestored: boolean;
  /** Which weights were restored, and with `mode: 'weak'` what did not fit. Names are those of the weights, but in `extra` and `from`. */
  readonly match: TensorMatch;
}

const KEYS = [
  'mode',
  'includeOptimizer',
  'optimizer',
  'match',
  'rename',
  'signal',
  'onProgress',
] as const satisfies readonly (keyof RestoreModelOptions)[];

/**
 * Restores weights, optimizer slots, iterations and hyperparameters into `model`, which must be the same model, compiled with an
 * optimizer of the same class; training then continues bit by bit. With `mode: 'weak'` it may be another one, such as one with a new head.
 * Names, shapes and dtypes are all checked before anything is changed: when it throws, nothing in the model has.
 *
 * Gives `null` where there is no checkpoint at all. Throws what `manager.restore` throws; `ERR_MODEL_MISMATCH`, listing
 * every difference, if checkpoint and model do not fit; `ERR_MODEL` for a model without layers or one that is disposed.
 */
export async function restoreModel(
  manager: CheckpointManager,
  model: LayersModel,
  target: RestoreTarget = 'latest',
  options: RestoreModelOptions = {},
): Promise<RestoredModel | null> {
  const { signal, onProgress, ...rest } = checkOptions(options);
  namedWeights(model);
  const wantsOptimizer = rest.includeOptimizer ?? (rest.optimizer ?? model.optimizer) != null;
  const restored = await restoreFor(manager, target, { signal, onProgress }, wantsOptimizer);
  return restored === null ? null : applyRestored(model, restored, rest);
}

function checkOptions(options: RestoreModelOptions): RestoreModelOptions {
  assertKnown('restoreModel', options, KEYS);
  const { match = 'name', mode = 'strict', includeOptimizer = true, rename } = options;
  oneOf('match', match, ['name', 'position']);
  oneOf('mode', mode, ['strict', 'weak']);
  oneOf('includeOptimizer', includeOptimizer, [true, false]);
  toRenaming(rename);
  if (match === 'name' || rename === undefined) return options;
  throw new HoldfastError('ERR_INVALID_ARGUMENT', 'By position names do not matter: give either match: "position", or rename.');
}

/** Puts a checkpoint that was read into `model`; synchronous, and all or nothing. */
export function applyRestored(
  model: LayersModel,
  restored: Restored,
  options: Omit<RestoreModelOptions, keyof CallOptions>,
): RestoredModel {
  const { name } = restored.info;
  const extension = decodeExtension(restored.extensions[EXTENSION_NAME], name);
  const weights = namedWeights(model);
  const matched = matchWeights(weights, restored, extension, options);
  const { mismatches, fitting } = matched;
  const isWeak = options.mode === 'weak';
  const advice = mismatches.length === 0 ? '' : hint(weights, restored, extension, matched, options);
  // It must not look like a success.
  if (isWeak && fitting.length === 0 && mismatches.length > 0) {
    throw mismatchError(name, mismatches, advice, 'has no tensor that fits a weight of the model');
  }
  const side: OptimizerSide = { model, weights, restored, record: extension?.optimizer ?? undefined, matched };
  const optimizer = isWeak ? prepareIfItFits(side, options) : prepareIfWanted(side, options);
  const all = [...(isWeak ? [] : mismatches), ...(optimizer?.mismatches ?? [])];
  if (all.length > 0) throw mismatchError(name, all, isWeak ? '' : advice);
  apply(fitting, optimizer);
  return { ...aboutRun(restored), optimizerRestored: optimizer !== undefined, match: matched.match };
}

/** All of a checkpoint but what went into the model. */
function aboutRun(restored: Restored): Omit<RestoredModel, 'optimizerRestored' | 'match'> {
  const { info, step, epoch, initialEpoch, metrics, createdAt, software, state, skipped } = restored;
  const { scheduler, rng, dataPosition, config } = restored;
  return { ...{ info, step, epoch, initialEpoch, metrics, createdAt, software, state, skipped }, scheduler, rng, dataPosition, config };
}

/** All tensors are made before the first one takes its place. */
function apply(fitting: readonly FittingWeight[], optimizer: PreparedOptimizer | undefined): void {
  const engine = runningEngine();
  const made: Tensor[] = [];
  try {
    const values = fitting.map(({ weight: { name, variable }, tensor }) => {
      const value = toTensor(tensor, variable, name, engine);
      made.push(value);
      return value;
    });
    const slots = optimizer?.load(engine) ?? new Map<string, Tensor>();
    made.push(...slots.values());
    // Not LayerVariable.write: that applies the weight's constraint once more, which changes bits.
    fitting.forEach(({ weight }, i) => {
      weight.variable.assign(values[i] as Tensor);
    });
    optimizer?.apply(slots, engine);
  } finally {
    for (const tensor of made) tensor.dispose();
  }
}

/** How to restore nevertheless. */
function hint(
  weights: readonly NamedWeight[],
  { tensors }: Restored,
  extension: TfjsExtension | undefined,
  { match: { missing } }: MatchedWeights,
  { match = 'name', mode = 'strict' }: RestoreModelOptions,
): string {
  const samePlaces =
    match === 'name' &&
    missing.length > 0 &&
    extension?.weights.length === weights.length &&
    weights.every(({ variable }, i) => String(tensors.get(extension.weights[i] as string)?.shape) === String(variable.shape));
  if (samePlaces) return 'By position all shapes fit: give the layers fixed names ({ name: … }), or restore with match: "position".';
  const rename = match === 'name' ? ['rename for weights that have other names in the checkpoint'] : [];
  const weak = mode === 'strict' ? ['mode: "weak" to restore what fits and leave the rest of the model as it is'] : [];
  const advice = [...rename, ...weak].join(', and ');
  return advice === '' ? '' : `restoreModel takes ${advice}.`;
}
