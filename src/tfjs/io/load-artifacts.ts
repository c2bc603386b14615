/** A checkpoint, or a stock directory, as `tf.loadLayersModel` and `tf.loadGraphModel` take a model from a handler. */
import type { io } from '@tensorflow/tfjs';
import type { RestoredTensor } from '../../catalog/tensor.js';
import { HoldfastError } from '../../errors.js';
import type { CheckpointManager } from '../../manager/manager.js';
import { assertSignalAndListener, type CallOptions } from '../../manager/options.js';
import type { Restored } from '../../manager/restore.js';
import type { RestoreTarget } from '../../manager/target.js';
import { decodeExtension, EXTENSION_NAME, type OptimizerRecord, type TfjsExtension } from '../../tfjs-record/extension.js';
import { lossFunctionsOf } from '../../tfjs-record/training-config.js';
import { isHeadSpec } from '../../tfjs-record/weights-manifest.js';
import { restoreFrom } from '../choose-checkpoint.js';
import { decodeModelJson, type ModelJson } from '../model/model-json.js';
import { announce, type ExactLoad } from './exact-load.js';
import { classNameIn, exactnessOf, toOptimizerWeights } from './optimizer-weights.js';
import { assertOnlyOne, findModel, readStockWeights, type StockModel } from './stock-directory.js';
import { bytesOfSpec, type StoredSpec, type StoredWeight, toBufferList, toWeightData } from './weight-data.js';

/** What is loaded, and how. */
export interface LoadRequest extends CallOptions {
  readonly target?: RestoreTarget | undefined;
  readonly includeOptimizer?: boolean | undefined;
}

/** Reads and checks a model. Throws what `manager.restore` throws, `ERR_NOT_FOUND` where nothing is, `ERR_MODEL` for what is no model. */
export async function loadArtifacts(from: CheckpointManager | string, request: LoadRequest): Promise<io.ModelArtifacts> {
  assertSignalAndListener(request);
  const { target = 'latest', includeOptimizer = true, signal, onProgress } = request;
  const place = typeof from === 'string' ? await findModel(from) : undefined;
  if (place !== undefined && 'stock' in place) return stockArtifacts(place.stock, request);
  const source = place?.directory ?? from;
  const restored = await restoreFrom(source, target, { signal, onProgress }, includeOptimizer);
  if (restored === null) {
    const directory = typeof from === 'string' ? from : from.directory;
    throw new HoldfastError('ERR_NOT_FOUND', `${directory} has no checkpoint yet, and no model.json of TensorFlow.js.`, {
      path: directory,
    });
  }
  for (const { name, code, message } of restored.skipped) {
    warn(`${name} was passed over, and ${restored.info.name} loaded instead: ${message}`, code);
  }
  return checkpointArtifacts(restored, includeOptimizer);
}

function checkpointArtifacts(restored: Restored, includeOptimizer: boolean): io.ModelArtifacts {
  const { name } = restored.info;
  const document = decodeModelJson(restored.attachments, name);
  const extension = decodeExtension(restored.extensions[EXTENSION_NAME], name);
  const plain = () => modelWeights(document, restored, extension);
  if (document.format === 'graph-model' || extension === undefined) return toArtifacts(document, plain());
  const optimizer = includeOptimizer ? usableOptimizer(extension, name) : undefined;
  const load: ExactLoad = { restored, includeOptimizer: optimizer !== undefined, metadata: document.userDefinedMetadata, isTaken: false };
  const userDefinedMetadata = announce(load);
  const all = () => (optimizer === undefined ? plain() : [...plain(), ...ofOptimizer(optimizer, restored)]);
  const warnIfLossy = () => optimizer !== undefined && warnOfLoss(optimizer, name);
  const trainingConfig = optimizer === undefined ? null : (extension.trainingConfig as object);
  if (userDefinedMetadata !== load.metadata)
    return lazyArtifacts({ ...document, trainingConfig, userDefinedMetadata }, load, all, warnIfLossy);
  warnIfLossy();
  // tfjs itself cannot take such a state, and would train on with a new one.
  const isLost = optimizer !== undefined && exactnessOf(optimizer.className) === 'not at all';
  return toArtifacts({ ...document, trainingConfig: isLost ? null : trainingConfig }, all());
}

/** The optimizer, if the checkpoint also says how to compile: without its state a model is not compiled, as in tfjs. */
function usableOptimizer({ optimizer, trainingConfig }: TfjsExtension, name: string): OptimizerRecord | undefined {
  if (optimizer === null) return undefined;
  if (trainingConfig !== null && lossFunctionsOf(trainingConfig).length === 0) return optimizer;
  warn(
    `${name} does not say how the model was compiled, so it is loaded without its optimizer (${optimizer.className}). Compile it, and use restoreModel.`,
  );
  return undefined;
}

/**
 * Gives weights only when asked for them. tfjs asks whether there are any, builds the model, tells it its metadata, and asks again: a model that has restored itself by
 * then is given none.
 */
function lazyArtifacts(
  document: ModelJson,
  load: ExactLoad,
  make: () => readonly StoredWeight[],
  onPlainUse: () => void,
): io.ModelArtifacts {
  let weights: readonly StoredWeight[] | undefined;
  let looks = 0;
  const current = () => {
    if (load.isTaken) return [];
    weights ??= make();
    return weights;
  };
  const artifacts = {
    ...toArtifacts(document, []),
    get weightSpecs() {
      return current().map(({ spec }) => spec);
    },
    get weightData() {
      // The first look is to see whether there are any. A copy of tfjs that nothing is hooked in looks again.
      looks++;
      if (looks === 2 && !load.isTaken) onPlainUse();
      return toBufferList(current());
    },
  };
  return artifacts as io.ModelArtifacts;
}

const PASSED_ON = [
  'modelTopology',
  'format',
  'generatedBy',
  'convertedBy',
  'trainingConfig',
  'signature',
  'userDefinedMetadata',
  'modelInitializer',
  'initializerSignature',
] as const;

/** model.json and weights as tfjs passes them around. */
export function toArtifacts(document: Readonly<Record<string, unknown>>, weights: readonly StoredWeight[]): io.ModelArtifacts {
  const fields = PASSED_ON.filter((name) => document[name] !== undefined && document[name] !== null).map((name) => [name, document[name]]);
  return {
    ...Object.fromEntries(fields),
    weightSpecs: weights.map(({ spec }) => spec),
    weightData: toWeightData(weights),
  } as io.ModelArtifacts;
}

function ofOptimizer(record: OptimizerRecord, { optimizer }: Restored): StoredWeight[] {
  return exactnessOf(record.className) === 'not at all' ? [] : toOptimizerWeights(record, optimizer);
}

function warnOfLoss({ className }: OptimizerRecord, from: string): void {
  const exactness = exactnessOf(className);
  if (exactness === 'exact') return;
  const what = exactness === 'nearly' ? 'only nearly: training goes on, but not bit by bit' : 'not at all: the model is loaded without it';
  warn(
    `TensorFlow.js takes the state of ${className} in ${from} back ${what}. Call registerHoldfast(tf) first, or use loadModel: both restore it exactly.`,
  );
}

/** A spec for each weight, and its bytes. */
function modelWeights(document: ModelJson, restored: Restored, extension: TfjsExtension | undefined): StoredWeight[] {
  const listed = document.weightsManifest?.flatMap(({ weights }) => weights as readonly StoredSpec[]).filter((spec) => !isHeadSpec(spec));
  const specs = listed ?? specsOf(restored, extension);
  return specs.map((spec) => {
    const tensor = restored.tensors.get(spec.name);
    if (tensor === undefined) throw unfit(restored, spec.name, 'is listed in model.json, but not in the checkpoint');
    const stored = withStoredDtype(spec, tensor);
    const wanted = bytesOfSpec(stored);
    if (wanted === undefined || wanted === tensor.byteLength) return { spec: stored, bytes: tensor };
    throw unfit(
      restored,
      spec.name,
      `is ${tensor.dtype} of ${tensor.byteLength} bytes, which TensorFlow.js cannot read as ${spec.dtype} of ${wanted} bytes`,
    );
  });
}

/** By dtype, for a checkpoint whose model.json lists none. */
function specsOf({ tensors, info }: Restored, extension: TfjsExtension | undefined): StoredSpec[] {
  const strings = new Map(extension?.strings.map(({ name, shape }) => [name, shape]));
  return [...tensors].map(([name, { dtype, shape }]) => {
    const ofStrings = strings.get(name);
    if (ofStrings !== undefined) return { name, dtype: 'string', shape: ofStrings };
    const found = dtype === 'F16' ? 'float32' : DTYPES.get(dtype);
    if (found !== undefined) return { name, dtype: found, shape };
    throw unfit({ info }, name, `is of dtype ${dtype}, which TensorFlow.js does not have`);
  });
}

const DTYPES: ReadonlyMap<string, string> = new Map([
  ['F32', 'float32'],
  ['I32', 'int32'],
  ['BOOL', 'bool'],
  ['C64', 'complex64'],
]);

/** Half-precision numbers stand for float32 in tfjs, as quantized ones. */
function withStoredDtype(spec: StoredSpec, { dtype }: RestoredTensor): StoredSpec {
  return dtype === 'F16' && spec.quantization === undefined ? { ...spec, quantization: { dtype: 'float16' } } : spec;
}

function unfit({ info }: Pick<Restored, 'info'>, name: string, what: string): HoldfastError {
  return new HoldfastError('ERR_MODEL', `The weight ${JSON.stringify(name)} of ${info.name} ${what}.`, {
    checkpoint: info.name,
    tensors: [name],
  });
}

async function stockArtifacts(stock: StockModel, { includeOptimizer = true, signal, target }: LoadRequest): Promise<io.ModelArtifacts> {
  assertOnlyOne(stock, target);
  const weights = await readStockWeights(stock, signal);
  if (includeOptimizer) {
    warnOfStockLoss(stock, weights);
    return toArtifacts(stock.document, weights);
  }
  const ofModel = weights.filter(({ spec }) => spec.group !== 'optimizer');
  return toArtifacts({ ...stock.document, trainingConfig: null }, ofModel);
}

/** Says so where the files do not have all of the optimizer's state. */
export function warnOfStockLoss({ file, document }: StockModel, weights: readonly StoredWeight[]): void {
  const className = classNameIn(document.trainingConfig);
  if (className !== 'Adam' || !weights.some(({ spec }) => spec.group === 'optimizer')) return;
  warn(`${file} has the state of ${className} only nearly, as TensorFlow.js writes it: training goes on from it, but not bit by bit.`);
}

function warn(message: string, code?: string): void {
  process.emitWarning(message, { type: 'HoldfastWarning', ...(code === undefined ? {} : { code }) });
}
