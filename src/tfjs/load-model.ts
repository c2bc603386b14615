/** Building a model from a checkpoint alone. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import type { LayersModel, ModelCompileArgs } from '@tensorflow/tfjs';
import { HoldfastError } from '../errors.js';
import { MANIFEST_NAME } from '../format/names.js';
import type { Json } from '../format/state.js';
import { CheckpointManager } from '../manager/manager.js';
import { assertKnown, type CallOptions } from '../manager/options.js';
import type { Restored } from '../manager/restore.js';
import type { RestoreTarget } from '../manager/target.js';
import { decodeExtension, EXTENSION_NAME } from '../tfjs-record/extension.js';
import { restoreFor } from './choose-checkpoint.js';
import { resolveTf, type Tf } from './engine.js';
import { MODEL_JSON } from './model-json.js';
import { applyRestored, type RestoredModel } from './restore-model.js';
import { applyTrainingConfig } from './training-config.js';

/** What `tf.serialization.registerClass` takes. */
export type CustomClass = Parameters<Tf['serialization']['registerClass']>[0];

/** Options of {@link loadModel}. */
export interface LoadModelOptions extends CallOptions {
  /**
   * Layer classes of your own by their `className`; they are registered with `tf.serialization.registerClass`. Classes that
   * are registered already need not be given.
   */
  readonly customObjects?: Readonly<Record<string, CustomClass>> | undefined;
  /** How to compile instead of what was saved: for a loss or metrics of your own, or another optimizer of the same class. */
  readonly compile?: ModelCompileArgs | undefined;
  /** Whether the model is compiled and its optimizer restored. Default true, where the checkpoint has them. */
  readonly includeOptimizer?: boolean | undefined;
  /** The TensorFlow.js that you use. Default: `@tensorflow/tfjs` as holdfast finds it. */
  readonly tf?: Tf | undefined;
}

/** A model that was built from a checkpoint. */
export interface LoadedModel extends RestoredModel {
  readonly model: LayersModel;
  /** Whether it is compiled and can be trained. */
  readonly compiled: boolean;
}

const KEYS = [
  'customObjects',
  'compile',
  'includeOptimizer',
  'tf',
  'signal',
  'onProgress',
] as const satisfies readonly (keyof LoadModelOptions)[];

/**
 * Builds the model that a checkpoint was saved from, with its weights, compiles it as it was compiled and restores the optimizer: training
 * can go on bit by bit. `from` is a manager, a directory of checkpoints, or the directory of one (`target` is then
 * not looked at).
 *
 * Without `includeOptimizer: false`, `latest` is the newest that training can go on from, or where there is none, the newest. Gives `null` where there is no checkpoint at all. Throws what `manager.restore` throws; `ERR_MODEL` if the checkpoint has no
 * model.json, or TensorFlow.js cannot build or compile from it; `ERR_UNSUPPORTED` if there is no TensorFlow.js.
 */
export async function loadModel(
  from: CheckpointManager | string,
  target: RestoreTarget = 'latest',
  options: LoadModelOptions = {},
): Promise<LoadedModel | null> {
  assertKnown('loadModel', options, KEYS);
  const { signal, onProgress, includeOptimizer } = options;
  const restored = await read(from, target, { signal, onProgress }, includeOptimizer !== false);
  if (restored === null) return null;
  const tf = await resolveTf(options.tf);
  const model = await build(tf, restored, options.customObjects ?? {});
  try {
    const extension = decodeExtension(restored.extensions[EXTENSION_NAME], restored.info.name);
    const compiled = compileModel(model, extension?.trainingConfig, options);
    const { includeOptimizer = compiled && extension?.optimizer != null } = options;
    return { ...applyRestored(model, restored, { includeOptimizer }), model, compiled };
  } catch (error) {
    model.dispose();
    throw error;
  }
}

async function read(
  from: CheckpointManager | string,
  target: RestoreTarget,
  options: CallOptions,
  wantsOptimizer: boolean,
): Promise<Restored | null> {
  if (typeof from !== 'string') return restoreFor(from, target, options, wantsOptimizer);
  const isCheckpoint = existsSync(path.join(from, MANIFEST_NAME));
  const manager = await CheckpointManager.open(isCheckpoint ? path.dirname(path.resolve(from)) : from, { readOnly: true });
  try {
    return await restoreFor(manager, isCheckpoint ? path.resolve(from) : target, options, wantsOptimizer);
  } finally {
    await manager.close();
  }
}

/** Uncompiled, with fresh weights: building consumes randomness, so restore a generator's state after it. */
async function build(tf: Tf, { attachments, info }: Restored, customObjects: Readonly<Record<string, CustomClass>>): Promise<LayersModel> {
  const bytes = attachments.get(MODEL_JSON);
  const details = { checkpoint: info.name, file: MODEL_JSON };
  if (bytes === undefined) {
    throw new HoldfastError(
      'ERR_MODEL',
      `${info.name} has no ${MODEL_JSON}, so it does not say what the model looks like. Build the model and use restoreModel.`,
      details,
    );
  }
  try {
    // The customObjects of modelFromJSON do not reach the layers of a Sequential.
    for (const custom of Object.values(customObjects)) tf.serialization.registerClass(custom);
    const document = JSON.parse(new TextDecoder().decode(bytes)) as { modelTopology: object; userDefinedMetadata?: object };
    const model = await tf.models.modelFromJSON({ modelTopology: document.modelTopology } as Parameters<Tf['models']['modelFromJSON']>[0]);
    if (document.userDefinedMetadata !== undefined) model.setUserDefinedMetadata(document.userDefinedMetadata);
    return model;
  } catch (cause) {
    throw new HoldfastError('ERR_MODEL', `TensorFlow.js cannot build the model of ${info.name}: ${(cause as Error).message}`, {
      ...details,
      cause,
    });
  }
}

/** Compiles as asked for, or as it was; false where neither is known or wanted. */
function compileModel(model: LayersModel, config: Json | undefined, { compile, includeOptimizer }: LoadModelOptions): boolean {
  if (compile !== undefined) model.compile(compile);
  else if (includeOptimizer !== false && config !== undefined && config !== null) applyTrainingConfig(model, config);
  else return false;
  return true;
}
