/** Building a model from a checkpoint alone. */
import type { LayersModel, ModelCompileArgs } from '@tensorflow/tfjs';
import { HoldfastError } from '../errors.js';
import type { Json } from '../format/state.js';
import type { CheckpointManager } from '../manager/manager.js';
import { assertKnown, type CallOptions } from '../manager/options.js';
import type { Restored } from '../manager/restore.js';
import type { RestoreTarget } from '../manager/target.js';
import { decodeExtension, EXTENSION_NAME } from '../tfjs-record/extension.js';
import { restoreFrom } from './choose-checkpoint.js';
import { resolveTf, type Tf } from './engine.js';
import { assertOnlyOne, findModel, type StockModel } from './io/stock-directory.js';
import { loadStockModel } from './io/stock-model.js';
import { decodeModelJson, MODEL_JSON } from './model-json.js';
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
 * not looked at). A directory or model.json of stock tfjs is read, too: there `step` is what its optimizer counted, and tfjs itself restores
 * the optimizer as far as it can.
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
  const place = typeof from === 'string' ? await findModel(from) : undefined;
  if (place !== undefined && 'stock' in place) return loadStock(place.stock, target, options);
  const restored = await restoreFrom(place?.directory ?? from, target, { signal, onProgress }, includeOptimizer !== false);
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

async function loadStock(stock: StockModel, target: RestoreTarget, options: LoadModelOptions): Promise<LoadedModel> {
  assertOnlyOne(stock, target);
  const { compile, includeOptimizer, signal } = options;
  const tf = await resolveTf(options.tf);
  for (const custom of Object.values(options.customObjects ?? {})) tf.serialization.registerClass(custom);
  return loadStockModel(stock, { tf, compile, includeOptimizer, signal });
}

/** Uncompiled, with fresh weights: building consumes randomness, so restore a generator's state after it. */
async function build(tf: Tf, { attachments, info }: Restored, customObjects: Readonly<Record<string, CustomClass>>): Promise<LayersModel> {
  const document = decodeModelJson(attachments, info.name);
  const details = { checkpoint: info.name, file: MODEL_JSON };
  if (document.format === 'graph-model') {
    throw new HoldfastError(
      'ERR_MODEL',
      `${info.name} holds a graph model, which has no layers. Load it with tf.loadGraphModel(holdfastHandler(…)).`,
      details,
    );
  }
  try {
    // The customObjects of modelFromJSON do not reach the layers of a Sequential.
    for (const custom of Object.values(customObjects)) tf.serialization.registerClass(custom);
    const model = await tf.models.modelFromJSON({ modelTopology: document.modelTopology } as unknown as Parameters<
      Tf['models']['modelFromJSON']
    >[0]);
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
