/** Saving a model with all that training goes on from. */
import type { LayersModel, Optimizer } from '@tensorflow/tfjs';
import type { Progress } from '../engine/progress.js';
import { HoldfastError } from '../errors.js';
import type { TensorFilePlan } from '../format/layout.js';
import type { Json } from '../format/state.js';
import type { CheckpointManager } from '../manager/manager.js';
import { assertKnown } from '../manager/options.js';
import type { SaveResult } from '../manager/save.js';
import type { Attachment, SaveRequest } from '../manager/save-request.js';
import type { TensorInput } from '../snapshot/source.js';
import { EXTENSION_NAME, encodeExtension } from './extension.js';
import { captureTopology, encodeModelJson, stockWarnings } from './model-json.js';
import { type CapturedOptimizer, captureOptimizer } from './optimizer-capture.js';
import { readTensor } from './tensors.js';
import { captureTrainingConfig } from './training-config.js';
import { type NamedWeight, namedWeights } from './weights.js';

/** Options of {@link saveModel}. */
export interface SaveModelOptions {
  /** Global step, a whole number. */
  readonly step: number;
  readonly epoch?: number | undefined;
  /** Numbers by name; NaN and infinities are kept. */
  readonly metrics?: Readonly<Record<string, number>> | undefined;
  /** Anything that JSON carries without loss: RNG, scheduler, data position, configuration. */
  readonly state?: Json | undefined;
  /** Whether the optimizer's state is saved. Default: if the model is compiled. Without it training cannot go on exactly. */
  readonly includeOptimizer?: boolean | undefined;
  /** The optimizer of a training loop of your own. Default: the one that the model was compiled with. */
  readonly optimizer?: Optimizer | undefined;
  /**
   * Default true: tensors are immutable, so their memory is written from where it is. Give false if you change a
   * typed array that you once passed to `tf.tensor` or `setWeights` without a copy; everything is then copied first.
   */
  readonly stable?: boolean | undefined;
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
  'state',
  'includeOptimizer',
  'optimizer',
  'stable',
  'attachments',
  'signal',
  'onProgress',
] as const satisfies readonly (keyof SaveModelOptions)[];

/**
 * Saves `model`, a Sequential or functional `tf.LayersModel`, and its optimizer; resolves when the checkpoint is
 * durable. Weights, optimizer slots, iterations, learning rate and configuration are all captured before the call returns to the
 * event loop: training may go on at once, and the checkpoint is of one step. No tensors are made or held.
 *
 * `model.safetensors` has the weights under tfjs' names (`dense_1/kernel`), `optimizer.safetensors` the slots
 * (`dense_1/kernel/m`). float32, int32, bool and complex64 are F32, I32, BOOL and C64; a string weight is a U8 tensor of
 * one dimension, per element a little-endian u32 length and the UTF-8 bytes. `model.json` lets stock `tf.loadLayersModel` read the directory. The result's `warnings` say
 * where that or compiling again is not possible.
 *
 * Throws what `manager.save` throws, and `ERR_MODEL` for a model that cannot be saved: without layers, disposed, two
 * weights of one name, an unknown optimizer. Nothing is written then.
 */
export async function saveModel(manager: CheckpointManager, model: LayersModel, options: SaveModelOptions): Promise<SaveResult> {
  assertKnown('saveModel', options, KEYS);
  const started = performance.now();
  // Everything up to manager.save's own capture happens in this tick.
  const { request, warnings, files } = captureModel(model, options);
  const captureSeconds = (performance.now() - started) / 1000;
  const result = await manager.save(request);
  const { snapshot, total } = result.seconds;
  return {
    ...result,
    seconds: { ...result.seconds, snapshot: snapshot + captureSeconds, total: total + captureSeconds },
    warnings: [...result.warnings, ...warnings, ...stockWarnings(files())],
  };
}

interface CapturedModel {
  readonly request: SaveRequest;
  readonly warnings: readonly string[];
  /** The layout of the tensor files, once it is known. */
  readonly files: () => readonly TensorFilePlan[];
}

function captureModel(model: LayersModel, options: SaveModelOptions): CapturedModel {
  const { step, epoch, metrics, state, stable = true, attachments = [], signal, onProgress } = options;
  const weights = namedWeights(model);
  const tensors = weights.map(({ name, variable }) => readTensor(variable, name, stable));
  const optimizer = captureIfWanted(model, weights, options);
  const training = captureTrainingConfig(model);
  const document = { topology: captureTopology(model), userDefinedMetadata: model.getUserDefinedMetadata() };
  const specs = weights.map(({ name, variable }) => ({ name, dtype: variable.dtype, shape: variable.shape }));
  let layout: readonly TensorFilePlan[] = [];
  const request: SaveRequest = {
    step,
    epoch,
    metrics,
    state,
    signal,
    onProgress,
    tensors,
    ...(optimizer === undefined ? {} : { optimizer: optimizer.tensors }),
    contents: optimizer === undefined ? 'weights' : 'full',
    extensions: { [EXTENSION_NAME]: encodeExtension(describe(weights, tensors, optimizer, training.config)) },
    software: { 'tfjs-layers': layersVersion(document.topology) },
    attachments: (files) => {
      layout = files;
      return [encodeModelJson(document, specs, files), ...attachments];
    },
  };
  return { request, warnings: training.warning === undefined ? [] : [training.warning], files: () => layout };
}

function captureIfWanted(
  model: LayersModel,
  weights: readonly NamedWeight[],
  { includeOptimizer, optimizer: given, stable = true }: SaveModelOptions,
): CapturedOptimizer | undefined {
  if (includeOptimizer !== undefined && typeof includeOptimizer !== 'boolean') {
    throw new HoldfastError('ERR_INVALID_ARGUMENT', `includeOptimizer must be true or false, not ${String(includeOptimizer)}.`);
  }
  const optimizer: Optimizer | undefined = given ?? model.optimizer;
  if (includeOptimizer === false) return undefined;
  if (optimizer !== undefined && optimizer !== null) return captureOptimizer(model, optimizer, weights, stable);
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
