/** Capturing weights and their optimizer with all that training goes on from, as a request to the manager. */
import type { Optimizer, Tensor } from '@tensorflow/tfjs';
import { HoldfastError } from '../../errors.js';
import type { TensorFilePlan } from '../../format/layout.js';
import type { Json } from '../../format/state.js';
import type { CheckpointManager } from '../../manager/manager.js';
import type { AsyncSaveRequest, Attachment, SaveRequest } from '../../manager/save-request.js';
import type { TensorInput } from '../../snapshot/source.js';
import { EXTENSION_NAME, encodeExtension } from '../../tfjs-record/extension.js';
import { type CapturedOptimizer, captureOptimizer } from '../optimizer/capture.js';
import { untrained } from '../preflight/untrained.js';
import { type Hold, TensorCapture } from '../tensors/capture-tensor.js';
import type { NamedWeight, Weights } from './weights.js';

/** Options of {@link saveModel}. */
export interface SaveModelOptions
  extends Pick<
    SaveRequest,
    'step' | 'epoch' | 'metrics' | 'scheduler' | 'rng' | 'dataPosition' | 'config' | 'state' | 'tags' | 'signal' | 'onProgress'
  > {
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
}

export const SAVE_MODEL_KEYS = [
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

export const SAVE_MODEL_ASYNC_KEYS = [...SAVE_MODEL_KEYS, 'whenBusy'] as const satisfies readonly (keyof SaveModelAsyncOptions)[];

/** Options of {@link saveModelAsync}. */
export interface SaveModelAsyncOptions extends SaveModelOptions, Pick<AsyncSaveRequest, 'whenBusy'> {}

/** What only a model's checkpoint has. */
export interface ModelParts {
  /** tfjs' own record of how it was compiled. */
  readonly trainingConfig: Json;
  readonly software: Readonly<Record<string, string>>;
  /** What callbacks keep, by the names of `runTensorName`; left out where the optimizer is. */
  readonly runTensors: ReadonlyMap<string, Tensor>;
  /** More files, by the layout of the tensor files. */
  attachments(files: readonly TensorFilePlan[]): readonly Attachment[];
  /** For the result, by the layout of the tensor files. */
  warnings(files: readonly TensorFilePlan[]): readonly string[];
}

/** Weights at one moment, as `manager.save` takes them. */
export interface CapturedWeights {
  readonly request: SaveRequest;
  /** To be released if no save takes it over. */
  readonly capture: TensorCapture;
}

/** Captures weights, synchronously. Throws `ERR_MODEL`, `ERR_INVALID_ARGUMENT`; nothing is held then. */
export function captureWeights(
  manager: Pick<CheckpointManager, 'contents'>,
  weights: Weights,
  parts: ModelParts | undefined,
  given: SaveModelOptions,
  started: number,
): CapturedWeights {
  const options = { ...given, includeOptimizer: given.includeOptimizer ?? (manager.contents === 'weights' ? false : undefined) };
  const { stable = true, hold = 'device' } = options;
  if (typeof stable !== 'boolean') throw new HoldfastError('ERR_INVALID_ARGUMENT', `stable must be true or false, not ${String(stable)}.`);
  if (hold !== 'device' && hold !== 'host') {
    throw new HoldfastError('ERR_INVALID_ARGUMENT', `hold must be "device" or "host", not ${String(hold)}.`);
  }
  const capture = new TensorCapture({ stable, hold });
  try {
    return { capture, request: { ...toRequest(weights, parts, options, capture), started } };
  } catch (error) {
    capture.release();
    throw error;
  }
}

function toRequest(weights: Weights, parts: ModelParts | undefined, options: SaveModelOptions, capture: TensorCapture): SaveRequest {
  const { step, epoch, metrics, scheduler, rng, dataPosition, config, state, tags, attachments = [], signal, onProgress } = options;
  const tensors = weights.all.map(({ name, variable }) => capture.take(variable, name));
  const optimizer = captureIfWanted(weights, options, capture);
  const unused = optimizer === undefined ? [] : untrained(options.optimizer ?? weights.optimizer, step);
  let layout: readonly TensorFilePlan[] = [];
  return {
    ...{ step, epoch, metrics, scheduler, rng, dataPosition, config, state, tags, signal, onProgress },
    tensors,
    ...(optimizer === undefined ? {} : { optimizer: [...optimizer.tensors, ...takeAll(parts?.runTensors ?? new Map(), capture)] }),
    contents: optimizer !== undefined ? 'full' : contentsWithout(weights, options),
    extensions: { [EXTENSION_NAME]: encodeExtension(describe(weights.all, tensors, optimizer, parts?.trainingConfig ?? null)) },
    software: parts?.software ?? {},
    attachments: (files) => {
      layout = files;
      return [...(parts?.attachments(files) ?? []), ...attachments];
    },
    warnings: () => [...unused.map(({ message }) => message), ...(parts?.warnings(layout) ?? [])],
  };
}

function takeAll(tensors: ReadonlyMap<string, Tensor>, capture: TensorCapture): TensorInput[] {
  return [...tensors].map(([name, tensor]) => capture.take(tensor, name));
}

/** A loop without an optimizer of tfjs' may go on from its variables alone; `fit` never does without one. */
function contentsWithout({ kind }: Weights, { includeOptimizer }: SaveModelOptions): 'full' | 'weights' {
  return kind === 'variables' && includeOptimizer !== false ? 'full' : 'weights';
}

function captureIfWanted(
  weights: Weights,
  { includeOptimizer, optimizer: given }: SaveModelOptions,
  capture: TensorCapture,
): CapturedOptimizer | undefined {
  if (includeOptimizer !== undefined && typeof includeOptimizer !== 'boolean') {
    throw new HoldfastError('ERR_INVALID_ARGUMENT', `includeOptimizer must be true or false, not ${String(includeOptimizer)}.`);
  }
  if (includeOptimizer === false) return undefined;
  const optimizer = given ?? weights.optimizer;
  if (optimizer !== undefined) return captureOptimizer(weights, optimizer, capture);
  if (includeOptimizer !== true) return undefined;
  const why =
    weights.kind === 'model'
      ? 'The model is not compiled, so it has no optimizer to save. Compile it, or pass the optimizer.'
      : 'There is no optimizer to save. Pass it: { optimizer }.';
  throw new HoldfastError('ERR_MODEL', why);
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
