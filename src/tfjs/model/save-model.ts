/** Saving a model with all that training goes on from. */
import type { LayersModel, Tensor } from '@tensorflow/tfjs';
import { assertKnown } from '../../known-options.js';
import type { CheckpointManager } from '../../manager/manager.js';
import type { SaveResult } from '../../manager/save.js';
import type { PendingSave } from '../../manager/saver.js';
import { stockWarnings } from '../../tfjs-record/weights-manifest.js';
import { warningsOfLoading } from '../preflight/loading.js';
import {
  type CapturedWeights,
  captureWeights,
  type ModelParts,
  SAVE_MODEL_ASYNC_KEYS,
  SAVE_MODEL_KEYS,
  type SaveModelAsyncOptions,
  type SaveModelOptions,
} from '../weights/capture-weights.js';
import { saveCaptured, saveCapturedAsync } from '../weights/save-captured.js';
import { type NamedWeight, weightsOf } from '../weights/weights.js';
import { captureTopology, encodeModelJson } from './model-json.js';
import { captureTrainingConfig } from './training-config.js';

export type { SaveModelAsyncOptions, SaveModelOptions } from '../weights/capture-weights.js';

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
  assertKnown('saveModel', options, SAVE_MODEL_KEYS);
  return saveCaptured(manager, captureModel(manager, model, options, started));
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
  return saveCapturedAsync(manager, captureModel(manager, model, options, started), options.whenBusy);
}

/** Captures a model, synchronously. Throws `ERR_MODEL`, `ERR_INVALID_ARGUMENT`; nothing is held then. */
export function captureModel(
  manager: Pick<CheckpointManager, 'contents'>,
  model: LayersModel,
  options: SaveModelOptions,
  started: number,
  runTensors: ReadonlyMap<string, Tensor> = new Map(),
): CapturedWeights {
  const weights = weightsOf(model);
  return captureWeights(manager, weights, { ...modelParts(model, weights.all), runTensors }, options, started);
}

function modelParts(model: LayersModel, weights: readonly NamedWeight[]): Omit<ModelParts, 'runTensors'> {
  const training = captureTrainingConfig(model);
  const document = { topology: captureTopology(model), userDefinedMetadata: model.getUserDefinedMetadata() };
  const problems = warningsOfLoading(model, document.topology, training);
  const specs = weights.map(({ name, variable: { dtype, shape } }) => ({ name, dtype, shape }));
  return {
    trainingConfig: training.config,
    software: { 'tfjs-layers': layersVersion(document.topology) },
    attachments: (files) => [encodeModelJson(document, specs, files)],
    warnings: (files) => [...problems.map(({ message }) => message), ...stockWarnings(files)],
  };
}

/** "tfjs-layers 4.22.0" stands in every topology. */
function layersVersion(topology: unknown): string {
  const { keras_version: version } = topology as { keras_version?: string };
  return version?.replace('tfjs-layers ', '') ?? 'unknown';
}
