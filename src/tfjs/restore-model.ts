/** Restoring a model so that training goes on as if it had never stopped. */
import type { LayersModel, Optimizer, Tensor } from '@tensorflow/tfjs';
import type { CheckpointInfo } from '../catalog/checkpoint.js';
import type { RestoredTensor } from '../catalog/tensor.js';
import { HoldfastError, type SkippedCheckpoint } from '../errors.js';
import type { Json, RunState } from '../format/state.js';
import type { CheckpointManager } from '../manager/manager.js';
import type { CallOptions } from '../manager/options.js';
import { assertKnown } from '../manager/options.js';
import type { Restored } from '../manager/restore.js';
import type { RestoreTarget } from '../manager/target.js';
import { restoreFor } from './choose-checkpoint.js';
import { runningEngine } from './engine.js';
import { decodeExtension, EXTENSION_NAME, type TfjsExtension } from './extension.js';
import { findMismatches, type Mismatch, mismatchError } from './mismatch.js';
import { type PreparedOptimizer, prepareOptimizer } from './optimizer-restore.js';
import { type TensorPlace, toTensor } from './tensors.js';
import { type NamedWeight, namedWeights } from './weights.js';

/** Options of {@link restoreModel}. */
export interface RestoreModelOptions extends CallOptions {
  /**
   * Whether the optimizer's state is restored. Default: if the checkpoint has one or the model is compiled, and
   * then both must. With false the weights alone are taken.
   */
  readonly includeOptimizer?: boolean | undefined;
  /** The optimizer of a training loop of your own. Default: the one that the model was compiled with. */
  readonly optimizer?: Optimizer | undefined;
  /**
   * How weights are matched: by `name` (default), or by `position` where the same model has other names, as
   * unnamed layers get when a process builds a model twice. Shapes and dtypes must be equal in both cases.
   */
  readonly match?: 'name' | 'position' | undefined;
}

/** What was restored into the model, and what else the checkpoint holds. */
export interface RestoredModel extends RunState {
  readonly info: CheckpointInfo;
  /** Global step. */
  readonly step: number;
  /** How many epochs were done; undefined where the save did not say. */
  readonly epoch: number | undefined;
  /** Where to go on, as Keras's `initial_epoch`: the index of the first epoch that is not done; 0 where the save did not say. */
  readonly initialEpoch: number;
  readonly metrics: Readonly<Record<string, number>>;
  /** When it was committed. */
  readonly createdAt: Date;
  /** Versions of what wrote it. */
  readonly software: Readonly<Record<string, string>>;
  /** What was given to `saveModel` as `state`; undefined where nothing was. */
  readonly state: Json | undefined;
  /** Damaged checkpoints that were passed over on the way, newest first. */
  readonly skipped: readonly SkippedCheckpoint[];
  readonly optimizerRestored: boolean;
}

const KEYS = ['includeOptimizer', 'optimizer', 'match', 'signal', 'onProgress'] as const satisfies readonly (keyof RestoreModelOptions)[];

/**
 * Restores weights, optimizer slots, iterations and hyperparameters into `model`, which must be the same model, compiled with an
 * optimizer of the same class; training then continues bit by bit. Names, shapes and dtypes are all checked before anything is changed.
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
  const { match = 'name' } = options;
  if (match === 'name' || match === 'position') return options;
  throw new HoldfastError('ERR_INVALID_ARGUMENT', `match must be "name" or "position", not ${JSON.stringify(match)}.`);
}

/** Puts a checkpoint that was read into `model`; synchronous, and all or nothing. */
export function applyRestored(
  model: LayersModel,
  restored: Restored,
  options: Omit<RestoreModelOptions, keyof CallOptions>,
): RestoredModel {
  const { info } = restored;
  const extension = decodeExtension(restored.extensions[EXTENSION_NAME], info.name);
  const weights = namedWeights(model);
  const rename = renamer(extension, weights, options.match ?? 'name', info.name);
  const stored = new Map([...restored.tensors].map(([name, tensor]) => [rename(name), tensor]));
  const strings = new Map((extension?.strings ?? []).map(({ name, shape }) => [rename(name), shape]));
  const places = new Map<string, TensorPlace>(weights.map(({ name, variable }) => [name, variable]));
  const weightMismatches = findMismatches('weight', stored, places, strings);
  const optimizer = prepareIfWanted(model, weights, restored, extension, rename, options);
  const mismatches: Mismatch[] = [...weightMismatches, ...(optimizer?.mismatches ?? [])];
  if (mismatches.length > 0) throw mismatchError(info.name, mismatches, hint(weightMismatches, stored, weights, extension, options));
  apply(weights, stored, optimizer);
  return { ...aboutRun(restored), optimizerRestored: optimizer !== undefined };
}

/** All of a checkpoint but what went into the model. */
function aboutRun(restored: Restored): Omit<RestoredModel, 'optimizerRestored'> {
  const { info, step, epoch, initialEpoch, metrics, createdAt, software, state, skipped } = restored;
  const { scheduler, rng, dataPosition, config } = restored;
  return { ...{ info, step, epoch, initialEpoch, metrics, createdAt, software, state, skipped }, scheduler, rng, dataPosition, config };
}

/** All tensors are made before the first one takes its place. */
function apply(
  weights: readonly NamedWeight[],
  stored: ReadonlyMap<string, RestoredTensor>,
  optimizer: PreparedOptimizer | undefined,
): void {
  const engine = runningEngine();
  const made: Tensor[] = [];
  try {
    const values = weights.map(({ name, variable }) => {
      const tensor = toTensor(stored.get(name) as RestoredTensor, variable, name, engine);
      made.push(tensor);
      return tensor;
    });
    const slots = optimizer?.load(engine) ?? new Map<string, Tensor>();
    made.push(...slots.values());
    // Not LayerVariable.write: that applies the weight's constraint once more, which changes bits.
    weights.forEach(({ variable }, i) => {
      variable.assign(values[i] as Tensor);
    });
    optimizer?.apply(slots, engine);
  } finally {
    for (const tensor of made) tensor.dispose();
  }
}

function renamer(
  extension: TfjsExtension | undefined,
  weights: readonly NamedWeight[],
  match: 'name' | 'position',
  checkpoint: string,
): (name: string) => string {
  if (match === 'name') return (name) => name;
  if (extension === undefined) {
    throw new HoldfastError(
      'ERR_MODEL_MISMATCH',
      `${checkpoint} was not saved with saveModel, so its weights have no order. Match by name.`,
      {
        checkpoint,
      },
    );
  }
  const names = new Map(extension.weights.map((name, i) => [name, weights[i]?.name]));
  return (name) => names.get(name) ?? `${name} (no weight at its position)`;
}

function prepareIfWanted(
  model: LayersModel,
  weights: readonly NamedWeight[],
  restored: Restored,
  extension: TfjsExtension | undefined,
  rename: (name: string) => string,
  { includeOptimizer, optimizer: given }: RestoreModelOptions,
): PreparedOptimizer | undefined {
  if (includeOptimizer === false) return undefined;
  const optimizer: Optimizer | undefined | null = given ?? model.optimizer;
  const record = extension?.optimizer ?? undefined;
  const { name } = restored.info;
  if (record !== undefined && optimizer) return prepareOptimizer(model, optimizer, weights, record, restored.optimizer, rename);
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

/** Where only names differ, says how to restore nevertheless. */
function hint(
  mismatches: readonly Mismatch[],
  stored: ReadonlyMap<string, RestoredTensor>,
  weights: readonly NamedWeight[],
  extension: TfjsExtension | undefined,
  { match = 'name' }: RestoreModelOptions,
): string {
  if (match === 'position' || mismatches.length === 0 || extension?.weights.length !== weights.length) return '';
  const samePlaces = weights.every(
    ({ variable }, i) => String(stored.get(extension.weights[i] as string)?.shape) === String(variable.shape),
  );
  if (!samePlaces) return '';
  return 'By position all shapes fit: give the layers fixed names ({ name: … }), or restore with match: "position".';
}
