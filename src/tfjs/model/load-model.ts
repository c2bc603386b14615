/** Building a model from a checkpoint alone. */
import type { LayersModel, ModelCompileArgs } from '@tensorflow/tfjs';
import { HoldfastError } from '../../errors.js';
import type { Json } from '../../format/state.js';
import { assertKnown } from '../../known-options.js';
import { CheckpointManager } from '../../manager/manager.js';
import type { CallOptions } from '../../manager/options.js';
import type { Restored } from '../../manager/restore.js';
import type { RestoreTarget } from '../../manager/target.js';
import { decodeExtension, EXTENSION_NAME } from '../../tfjs-record/extension.js';
import { MODEL_JSON } from '../../tfjs-record/weights-manifest.js';
import { restoreFrom } from '../choose-checkpoint.js';
import { resolveTf, type Tf } from '../engine.js';
import { assertOnlyOne, findModel, type StockModel } from '../io/stock-directory.js';
import { loadStockModel } from '../io/stock-model.js';
import { decodeModelJson } from './model-json.js';
import { applyRestored, type RestoredModel } from './restore-model.js';
import { applyTrainingConfig, type LossOrMetric } from './training-config.js';

/** What `tf.serialization.registerClass` takes. */
export type CustomClass = Parameters<Tf['serialization']['registerClass']>[0];

/** Options of {@link loadModel}. */
export interface LoadModelOptions extends CallOptions {
  /**
   * What is your own: classes of layers, initializers, regularizers, constraints or optimizers by their `className`, and functions that are losses or metrics
   * by their names. Classes are registered with `tf.serialization.registerClass`; those that are registered already need not be given.
   */
  readonly customObjects?: Readonly<Record<string, CustomClass | LossOrMetric>> | undefined;
  /** How to compile instead of what was saved: for another loss or other metrics, or another optimizer of the same class. */
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
  if (typeof from !== 'string' && !(from instanceof CheckpointManager))
    throw new HoldfastError('ERR_INVALID_ARGUMENT', 'loadModel takes the path of a directory, or an open CheckpointManager.');
  const { signal, onProgress, includeOptimizer } = options;
  const place = typeof from === 'string' ? await findModel(from) : undefined;
  if (place !== undefined && 'stock' in place) return loadStock(place.stock, target, options);
  const restored = await restoreFrom(place?.directory ?? from, target, { signal, onProgress }, includeOptimizer !== false);
  if (restored === null) return null;
  const tf = await resolveTf(options.tf);
  const custom = sortCustomObjects(options.customObjects ?? {});
  const model = await build(tf, restored, custom.classes);
  try {
    const extension = decodeExtension(restored.extensions[EXTENSION_NAME], restored.info.name);
    const compiled = compileModel(model, extension?.trainingConfig, custom.functions, options);
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
  // A loss or metric of one's own stands in no stock model.json in a way that says which it is: `compile` is for that.
  for (const each of sortCustomObjects(options.customObjects ?? {}).classes) tf.serialization.registerClass(each);
  return loadStockModel(stock, { tf, compile, includeOptimizer, signal });
}

/** Uncompiled, with fresh weights: building consumes randomness, so restore a generator's state after it. */
async function build(tf: Tf, { attachments, info }: Restored, classes: readonly CustomClass[]): Promise<LayersModel> {
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
    for (const each of classes) tf.serialization.registerClass(each);
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
function compileModel(
  model: LayersModel,
  config: Json | undefined,
  functions: Readonly<Record<string, LossOrMetric>>,
  { compile, includeOptimizer }: LoadModelOptions,
): boolean {
  if (compile !== undefined) model.compile(compile);
  else if (includeOptimizer !== false && config !== undefined && config !== null) return applyTrainingConfig(model, config, functions);
  else return false;
  return true;
}

/** Classes and functions told apart. Throws `ERR_INVALID_ARGUMENT` for what is neither, or a class that tfjs cannot register. */
function sortCustomObjects(objects: Readonly<Record<string, unknown>>): {
  classes: CustomClass[];
  functions: Record<string, LossOrMetric>;
} {
  const classes: CustomClass[] = [];
  const functions: Record<string, LossOrMetric> = {};
  for (const [name, object] of Object.entries(objects)) {
    const { className, prototype } = (object ?? {}) as { className?: unknown; prototype?: object };
    if (typeof object !== 'function') {
      throw new HoldfastError('ERR_INVALID_ARGUMENT', `customObjects.${name} must be a class, or a function that is a loss or a metric.`);
    }
    if (typeof className === 'string') classes.push(object as unknown as CustomClass);
    else if (prototype === undefined || !('getClassName' in prototype)) functions[name] = object as LossOrMetric;
    else
      throw new HoldfastError(
        'ERR_INVALID_ARGUMENT',
        `The class customObjects.${name} has no static className, which TensorFlow.js finds it by.`,
      );
  }
  return { classes, functions };
}
