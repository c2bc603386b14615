/**
 * `model.json`: the model's topology, and tfjs' weightsManifest over the very same tensor files, so that stock
 * `tf.loadLayersModel` reads a checkpoint directory as it is.
 */
import type { LayersModel } from '@tensorflow/tfjs';
import { HoldfastError } from '../../errors.js';
import type { TensorFilePlan } from '../../format/layout.js';
import type { Attachment } from '../../manager/save-request.js';
import { MODEL_JSON, type WeightSpec, weightsManifest } from '../../tfjs-record/weights-manifest.js';
import { VERSION } from '../../version.js';

/** The model's topology as plain JSON, captured now. Throws `ERR_MODEL` if the model cannot be written down. */
export function captureTopology(model: LayersModel): unknown {
  try {
    return JSON.parse(model.toJSON(undefined, true) as string);
  } catch (cause) {
    throw new HoldfastError(
      'ERR_MODEL',
      `The model cannot be written down: ${(cause as Error).message} Every layer needs a getConfig that gives plain JSON. Nothing was saved.`,
      { cause },
    );
  }
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

/** What is read of a model.json, whoever wrote it. */
export interface ModelJson {
  readonly modelTopology?: object;
  /** `layers-model` or `graph-model`; files of old converters do not say. */
  readonly format?: string;
  readonly weightsManifest?: readonly {
    readonly paths: readonly string[];
    readonly weights: readonly (WeightSpec & { group?: string })[];
  }[];
  readonly userDefinedMetadata?: object | undefined;
  readonly trainingConfig?: object | null;
  readonly [field: string]: unknown;
}

/** Reads model.json of a checkpoint. Throws `ERR_MODEL` where it has none, or one that is not JSON. */
export function decodeModelJson(attachments: ReadonlyMap<string, Uint8Array>, checkpoint: string): ModelJson {
  const bytes = attachments.get(MODEL_JSON);
  const details = { checkpoint, file: MODEL_JSON };
  if (bytes === undefined) {
    throw new HoldfastError(
      'ERR_MODEL',
      `${checkpoint} has no ${MODEL_JSON}, so it does not say what the model looks like. Build the model and use restoreModel.`,
      details,
    );
  }
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as ModelJson;
  } catch (cause) {
    throw new HoldfastError('ERR_MODEL', `${MODEL_JSON} of ${checkpoint} is not JSON: ${(cause as Error).message}`, { ...details, cause });
  }
}
