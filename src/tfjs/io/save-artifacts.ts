/** A model as tfjs hands it to a handler, weights and optimizer already copied together, as a request to the manager. */
import type { io } from '@tensorflow/tfjs';
import { HoldfastError } from '../../errors.js';
import type { Dtype } from '../../format/dtype.js';
import type { TensorFilePlan } from '../../format/layout.js';
import type { Json } from '../../format/state.js';
import type { SaveRequest } from '../../manager/save-request.js';
import type { TensorInput } from '../../snapshot/source.js';
import { DTYPE_OF_QUANTIZED } from '../../tfjs-record/dtypes.js';
import { EXTENSION_NAME, encodeExtension } from '../../tfjs-record/extension.js';
import { MODEL_JSON, stockWarnings, weightsManifest } from '../../tfjs-record/weights-manifest.js';
import { toDtype } from '../tensors/tensors.js';
import { classNameIn, fromOptimizerWeights } from './optimizer-weights.js';
import { cutWeightData, type StoredSpec, type StoredWeight } from './weight-data.js';

/** What the artifacts have to say of a save; step and the like are the caller's. */
export interface ArtifactsRequest extends Omit<SaveRequest, 'step'> {
  /** Of the optimizer, where it is known. */
  readonly iterations: number | undefined;
}

/** Throws `ERR_MODEL` for artifacts that cannot be saved. */
export function fromArtifacts(artifacts: io.ModelArtifacts, includeOptimizer: boolean): ArtifactsRequest {
  const { modelTopology, weightSpecs = [], weightData, trainingConfig } = artifacts;
  if (typeof modelTopology !== 'object' || modelTopology === null || modelTopology instanceof ArrayBuffer) {
    throw new HoldfastError('ERR_MODEL', 'The model has no topology in JSON, so nothing could be loaded from what is saved.');
  }
  if (weightData === undefined && weightSpecs.length > 0) {
    throw new HoldfastError(
      'ERR_MODEL',
      'The weights of the model are not there: it was loaded as a stream. Load it without streamWeights, and save it then.',
    );
  }
  const weights = cutWeightData(weightSpecs as readonly StoredSpec[], weightData ?? new ArrayBuffer(0));
  const ofModel = weights.filter(({ spec }) => spec.group !== 'optimizer');
  const names = new Set(ofModel.map(({ spec }) => spec.name));
  const wantsOptimizer = includeOptimizer && trainingConfig !== undefined && ofModel.length < weights.length;
  const optimizer = wantsOptimizer
    ? fromOptimizerWeights(
        trainingConfig,
        weights.filter(({ spec }) => spec.group === 'optimizer'),
        names,
      )
    : undefined;
  if (wantsOptimizer) warnOfLoss(trainingConfig, optimizer === undefined);
  const tensors = ofModel.map(toTensor);
  const isGraph = artifacts.format === 'graph-model';
  const strings = ofModel.filter(({ spec }) => spec.dtype === 'string').map(({ spec: { name, shape } }) => ({ name, shape }));
  const config = optimizer === undefined ? null : (trainingConfig as unknown as Json);
  const extension = { weights: tensors.map(({ name }) => name), strings, optimizer: optimizer?.record ?? null, trainingConfig: config };
  let layout: readonly TensorFilePlan[] = [];
  return {
    iterations: optimizer?.record.iterations,
    tensors,
    ...(optimizer === undefined ? {} : { optimizer: optimizer.tensors }),
    contents: optimizer === undefined ? 'weights' : 'full',
    ...(isGraph ? {} : { extensions: { [EXTENSION_NAME]: encodeExtension(extension) } }),
    attachments: (files) => {
      layout = files;
      return [{ name: MODEL_JSON, data: `${JSON.stringify(modelJson(artifacts, ofModel, files))}\n` }];
    },
    warnings: () => stockWarnings(layout),
  };
}

/** Never with a trainingConfig: stock tfjs would take the head of a file for the optimizer's state. */
function modelJson(artifacts: io.ModelArtifacts, weights: readonly StoredWeight[], files: readonly TensorFilePlan[]): object {
  const { weightSpecs: _, weightData: __, trainingConfig: ___, ...rest } = artifacts;
  const specs = weights.map(({ spec }) => spec);
  return { format: 'layers-model', ...rest, weightsManifest: weightsManifest(specs, files) };
}

/** Quantized weights are stored as they are, in the few bits that they have. */
function toTensor({ spec: { name, dtype, shape, quantization }, bytes: { buffer, byteOffset, byteLength } }: StoredWeight): TensorInput {
  const stored = (quantization as { dtype?: string } | undefined)?.dtype;
  const isString = dtype === 'string';
  const data = piece(buffer, byteOffset, byteLength);
  const saved = stored === undefined ? toDtype(dtype, name) : (DTYPE_OF_QUANTIZED[stored] as Dtype);
  return { name, dtype: saved, shape: isString ? [byteLength] : shape, data, stable: true };
}

/** A view, or where Node.js 20 cannot make one that long, all of the memory. */
function piece(buffer: ArrayBuffer, byteOffset: number, byteLength: number): Uint8Array | ArrayBuffer {
  return byteOffset === 0 && byteLength === buffer.byteLength ? buffer : new Uint8Array(buffer, byteOffset, byteLength);
}

function warnOfLoss(trainingConfig: unknown, isLost: boolean): void {
  const className = classNameIn(trainingConfig);
  if (!isLost && className !== 'Adam') return;
  const what = isLost ? 'cannot be saved this way, and is left out' : 'is saved this way only nearly';
  process.emitWarning(
    `The state of ${className} ${what}: TensorFlow.js hands a handler not all of it. Call registerHoldfast(tf) first; model.save then saves it exactly, and without a stall.`,
    'HoldfastWarning',
  );
}
