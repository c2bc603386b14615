/**
 * `model.json`: the model's topology, and tfjs' weightsManifest over the very same tensor files, so that stock
 * `tf.loadLayersModel` reads a checkpoint directory as it is.
 */
import type { LayersModel } from '@tensorflow/tfjs';
import type { TensorFilePlan } from '../format/layout.js';
import type { Attachment } from '../manager/save-request.js';
import { MODEL_JSON, type WeightSpec, weightsManifest } from '../tfjs-record/weights-manifest.js';
import { VERSION } from '../version.js';

export { stockWarnings } from '../tfjs-record/weights-manifest.js';
export { MODEL_JSON, type WeightSpec };

/** The model's topology as plain JSON, captured now. */
export function captureTopology(model: LayersModel): unknown {
  return JSON.parse(model.toJSON(undefined, true) as string);
}

/** The topology and the caller's own metadata of the model, as model.json has them. */
export interface ModelDocument {
  readonly topology: unknown;
  readonly userDefinedMetadata: unknown;
}

export function encodeModelJson(model: ModelDocument, weights: readonly WeightSpec[], files: readonly TensorFilePlan[]): Attachment {
  const document = {
    modelTopology: model.topology,
    format: 'layers-model',
    generatedBy: `holdfast ${VERSION}`,
    convertedBy: null,
    ...(model.userDefinedMetadata === undefined ? {} : { userDefinedMetadata: model.userDefinedMetadata }),
    weightsManifest: weightsManifest(weights, files),
  };
  return { name: MODEL_JSON, data: `${JSON.stringify(document)}\n` };
}
