/** Saving a model with all that training goes on from. */
import type { LayersModel, Optimizer } from '@tensorflow/tfjs';
import type { Progress } from '../engine/progress.js';
import { HoldfastError } from '../errors.js';
import type { TensorFilePlan } from '../format/layout.js';
import type { Json } from '../format/state.js';
import type { CheckpointManager } from '../manager/manager.js';
import { assertKnown, type WhenBusy } from '../manager/options.js';
import type { SaveResult } from '../manager/save.js';
import type { Attachment, SaveRequest } from '../manager/save-request.js';
import type { PendingSave } from '../manager/saver.js';
import type { TensorInput } from '../snapshot/source.js';
import { EXTENSION_NAME, encodeExtension } from '../tfjs-record/extension.js';
import { type Hold, TensorCapture } from './capture-tensor.js';
import { captureTopology, encodeModelJson, stockWarnings } from './model-json.js';
import { type CapturedOptimizer, captureOptimizer } from './optimizer-capture.js';
import { captureTrainingConfig } from './training-config.js';
import { type NamedWeight, namedWeights } from './weights.js';

/** Options of {@link saveModel}. */
export interface SaveModelOptions {
  /** Global step, a whole number. */
  readonly step: number;
  /** How many epochs are done. */
  readonly epoch?: number | undefined;
  /** Numbers by name; NaN and infinities are kept. */
  readonly metrics?: Readonly<Record<string, number>> | undefined;
  /** Of the learning-rate scheduler, as JSON; `restoreModel` gives it back. */
  readonly scheduler?: Json | undefined;
  /** Of the generators of random numbers, as JSON. */
  readonly rng?: Json | undefined;
  /** Where in the data training is: epoch, batch, order, as JSON. */
  readonly dataPosition?: Json | undefined;
  /** What the run was started with, as JSON. */
  readonly config?: Json | undefined;
  /** Anything else that JSON carries without loss, at most 64 MiB with all of the above. */
  readonly state?: Json | undefined;
  /** Names for the checkpoint, made as links beside it: it is kept as long as it has one. A name that another checkpoint has moves to this one. */
  readonly tags?: readonly string[] | undefined;
  /** Whether the optimizer's state is saved. Default: if the model is compiled, and the manager not opened for weights. Without it training cannot go on exactly. */
  readonly includeOptimizer?: boolean | undefined;
  /** The optimizer of a training loop of your own. Default: the one that the model was compiled with. */
  readonly optimizer?: Optimizer | undefined;
  /**
   * Default true: tensors are immutable, so their memory is written from where it is. Give false if you change a
   * typed array that you once passed to `tf.tensor` or `setWeights` without a copy; what such an array may hold is then copied
   * before the call returns.
   */
  readonly stable?: boolean | undefined;
  /**
   * Where tensors are until they are written whose bytes are not in JavaScript memory: all of tfjs-node, wasm and other backends, next to
   * none of the cpu backend.
   *
   * `device` (default): as tensors that share the data. The call takes microseconds per tensor, whatever its size; they are read later, on
   * tfjs-node and wasm in parts of 4 MiB with turns of the event loop between. As training goes on and replaces the weights, the backend
   * keeps a second generation of weights and optimizer slots until they are written: up to as many bytes as the checkpoint has.
   *
   * `host`: as bytes in the memory of the process, read before the call returns. That takes as long as reading them takes (a second per
   * GiB and more), and no tensor is held: for where the device's memory has no room.
   */
  readonly hold?: Hold | undefined;
  /** More small files for the checkpoint, beside model.json. */
  readonly attachments?: readonly Attachment[] | undefined;
  /** Aborting before the commit rejects with `ERR_ABORTED` and leaves nothing behind. */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

const KEYS = [
  'step',
  'epoch',
  'metrics',
  'scheduler',
  'rng',
  'dataPosition',
  'config',
  'state',
  'tags',
  'includeOptimizer',
  'optimizer',
  'stable',
  'hold',
  'attachments',
  'signal',
  'onProgress',
] as const satisfies readonly (keyof SaveModelOptions)[];

export const SAVE_MODEL_ASYNC_KEYS = [...KEYS, 'whenBusy'] as const satisfies readonly (keyof SaveModelAsyncOptions)[];

/** Options of {@link saveModelAsync}. */
export interface SaveModelAsyncOptions extends SaveModelOptions {
  /** What to do when as many saves as the manager's `maxInFlight` are in flight. Default: as the manager was opened. */
  readonly whenBusy?: WhenBusy | undefined;
}

/**
 * Saves `model`, a Sequential or functional `tf.LayersModel`, and its optimizer; resolves when the checkpoint is
 * durable. Weights, optimizer slots, iterations, learning rate and configuration are all captured before the call returns to the
 * event loop: training may go on at once, and the checkpoint is of one step. When the call settles, no tensor is left of it.
 *
 * `model.safetensors` has the weights under tfjs' names (`dense_1/kernel`), `optimizer.safetensors` the slots
 * (`dense_1/kernel/m`). float32, int32, bool and complex64 are F32, I32, BOOL and C64; a string weight is a U8 tensor of
 * one dimension, per element a little-endian u32 length and the UTF-8 bytes. `model.json` lets stock `tf.loadLayersModel` read the directory. The result's `warnings` say
 * where that or compiling again is not possible.
 *
 * Throws what `manager.save` throws; `ERR_MODEL` for a model that cannot be saved: without layers, disposed, two
 * weights of one name, an unknown optimizer; `ERR_SOURCE` if a backend cannot read a tensor any more that was captured, as
 * after `tf.engine().reset()`. Nothing is written then.
 */
export async function saveModel(manager: CheckpointManager, model: LayersModel, options: SaveModelOptions): Promise<SaveResult> {
  const started = performance.now();
  assertKnown('saveModel', options, KEYS);
  // Everything up to manager.save's own capture happens in this tick.
  const { request, capture } = captureModel(manager, model, options, started);
  try {
    return await manager.save(request);
  } finally {
    capture.release();
  }
}

/**
 * As {@link saveModel}, but resolves as soon as training may go on, to what `manager.saveAsync` gives: `committed` then tells when the
 * checkpoint is durable, `stallMs` how long the call took, capturing the model included. If the save is skipped, nothing is held.
 *
 * Throws what `manager.saveAsync` throws, and `ERR_MODEL` as {@link saveModel}; `ERR_SOURCE` comes through `committed`.
 */
export async function saveModelAsync(manager: CheckpointManager, model: LayersModel, options: SaveModelAsyncOptions): Promise<PendingSave> {
  const started = performance.now();
  assertKnown('saveModelAsync', options, SAVE_MODEL_ASYNC_KEYS);
  const { request, capture } = captureModel(manager, model, options, started);
  const { whenBusy } = options;
  let pending: PendingSave | undefined;
  try {
    pending = await manager.saveAsync({ ...request, whenBusy });
    return pending;
  } finally {
    // What is accepted is released by the save, when it is over.
    if (pending?.status !== 'accepted') capture.release();
  }
}

/** A model at one moment, as `manager.save` takes it. */
export interface CapturedModel {
  readonly request: SaveRequest;
  /** To be released if no save takes it over. */
  readonly capture: TensorCapture;
}

/** Captures a model, synchronously. Throws `ERR_MODEL`, `ERR_INVALID_ARGUMENT`; nothing is held then. */
export function captureModel(manager: CheckpointManager, model: LayersModel, given: SaveModelOptions, started: number): CapturedModel {
  const options = { ...given, includeOptimizer: given.includeOptimizer ?? (manager.contents === 'weights' ? false : undefined) };
  const { stable = true, hold = 'device' } = options;
  if (typeof stable !== 'boolean') throw new HoldfastError('ERR_INVALID_ARGUMENT', `stable must be true or false, not ${String(stable)}.`);
  if (hold !== 'device' && hold !== 'host') {
    throw new HoldfastError('ERR_INVALID_ARGUMENT', `hold must be "device" or "host", not ${String(hold)}.`);
  }
  const capture = new TensorCapture({ stable, hold });
  try {
    return { capture, request: { ...toRequest(model, options, capture), started } };
  } catch (error) {
    capture.release();
    throw error;
  }
}

function toRequest(model: LayersModel, options: SaveModelOptions, capture: TensorCapture): SaveRequest {
  const { step, epoch, metrics, scheduler, rng, dataPosition, config, state, tags, attachments = [], signal, onProgress } = options;
  const weights = namedWeights(model);
  const tensors = weights.map(({ name, variable }) => capture.take(variable, name));
  const optimizer = captureIfWanted(model, weights, options, capture);
  const training = captureTrainingConfig(model);
  const document = { topology: captureTopology(model), userDefinedMetadata: model.getUserDefinedMetadata() };
  const specs = weights.map(({ name, variable }) => ({ name, dtype: variable.dtype, shape: variable.shape }));
  let layout: readonly TensorFilePlan[] = [];
  return {
    ...{ step, epoch, metrics, scheduler, rng, dataPosition, config, state, tags, signal, onProgress },
    tensors,
    ...(optimizer === undefined ? {} : { optimizer: optimizer.tensors }),
    contents: optimizer === undefined ? 'weights' : 'full',
    extensions: { [EXTENSION_NAME]: encodeExtension(describe(weights, tensors, optimizer, training.config)) },
    software: { 'tfjs-layers': layersVersion(document.topology) },
    attachments: (files) => {
      layout = files;
      return [encodeModelJson(document, specs, files), ...attachments];
    },
    warnings: () => [...(training.warning === undefined ? [] : [training.warning]), ...stockWarnings(layout)],
  };
}

function captureIfWanted(
  model: LayersModel,
  weights: readonly NamedWeight[],
  { includeOptimizer, optimizer: given }: SaveModelOptions,
  capture: TensorCapture,
): CapturedOptimizer | undefined {
  if (includeOptimizer !== undefined && typeof includeOptimizer !== 'boolean') {
    throw new HoldfastError('ERR_INVALID_ARGUMENT', `includeOptimizer must be true or false, not ${String(includeOptimizer)}.`);
  }
  const optimizer: Optimizer | undefined = given ?? model.optimizer;
  if (includeOptimizer === false) return undefined;
  if (optimizer !== undefined && optimizer !== null) return captureOptimizer(model, optimizer, weights, capture);
  if (includeOptimizer !== true) return undefined;
  throw new HoldfastError('ERR_MODEL', 'The model is not compiled, so it has no optimizer to save. Compile it, or pass the optimizer.');
}

function describe(
  weights: readonly NamedWeight[],
  tensors: readonly TensorInput[],
  optimizer: CapturedOptimizer | undefined,
  config: Json,
) {
  const strings = weights
    .filter(({ variable }) => variable.dtype === 'string')
    .map(({ name, variable }) => ({ name, shape: variable.shape }));
  return { weights: tensors.map(({ name }) => name), strings, optimizer: optimizer?.record ?? null, trainingConfig: config };
}

/** "tfjs-layers 4.22.0" stands in every topology. */
function layersVersion(topology: unknown): string {
  const { keras_version: version } = topology as { keras_version?: string };
  return version?.replace('tfjs-layers ', '') ?? 'unknown';
}
