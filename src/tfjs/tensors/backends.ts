/** Where a tensor's bytes are, and how they are got at. A tensor keeps to its backend, whichever is active. */
import type { KernelBackend, Tensor } from '@tensorflow/tfjs';
import { type Engine, runningEngine } from '../engine.js';

/** What `readSync` and `read` give for numbers. */
export type NumberArray = Float32Array | Int32Array | Uint8Array;

/** The backends whose memory is known; each is treated by its name in tfjs. */
type KnownBackend = 'cpu' | 'wasm' | 'tensorflow';

/** One tensor's data and who has it. */
export interface Place {
  readonly engine: Engine;
  readonly backend: KernelBackend;
  /** `tensorflow` is tfjs-node and tfjs-node-gpu. */
  readonly known: KnownBackend | undefined;
}

const KNOWN: readonly KnownBackend[] = ['cpu', 'wasm', 'tensorflow'];

/** Looks a tensor up. Throws if it is disposed, or if the engine was reset and does not know it any more. */
export function placeOf(tensor: Tensor): Place {
  if (tensor.isDisposed) throw new Error('it is disposed');
  const engine = runningEngine();
  const info = engine.state.tensorInfo.get(tensor.dataId);
  if (info === undefined)
    throw new Error('TensorFlow.js does not know it any more; was the engine reset, or the tensor disposed of by force?');
  const { backend } = info;
  // Not findBackend: that initializes a backend that was only registered.
  return { engine, backend, known: KNOWN.find((name) => engine.registry[name] === backend) };
}

/**
 * The array of JavaScript memory in which the backend itself keeps the tensor, where it does: holding it keeps the bytes, whatever
 * becomes of the tensor, since nothing in tfjs writes to it.
 */
export function liveArray(tensor: Tensor, { engine, backend, known }: Place): NumberArray | undefined {
  const { dtype, dataId } = tensor;
  // For bool and complex64 the cpu backend makes a new array.
  if (known === 'cpu') return dtype === 'float32' || dtype === 'int32' ? (engine.readSync(dataId) as NumberArray) : undefined;
  // tfjs-node takes over data from JavaScript when an operation first uses it.
  if (known !== 'tensorflow') return undefined;
  const { tensorMap } = backend as unknown as Partial<NodeBackend>;
  return tensorMap?.has(dataId) === true ? (tensorMap.get(dataId).values ?? undefined) : undefined;
}

/** What is used of tfjs-node's backend, which its types leave out. */
interface NodeBackend {
  readonly tensorMap: { has(dataId: object): boolean; get(dataId: object): { readonly values: NumberArray | null } };
}

/**
 * Another tensor of the same data, at no cost in time or memory that grows with it. It outlives the first one, its model, new values
 * of its variable and a surrounding `tf.tidy`; the caller disposes it.
 *
 * `tensor.clone()` is not that: the wasm backend copies, the active backend gets the data even if it was in another one,
 * and inside of `tf.grads` the gradient's tape records it.
 */
export function shareTensor({ dataId, shape, dtype }: Tensor, { engine, backend }: Place): Tensor {
  backend.incRef(dataId);
  return engine.keep(engine.makeTensorFromTensorInfo({ dataId, shape, dtype }, backend));
}
