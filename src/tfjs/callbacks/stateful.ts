/** Callbacks that go on from where they were when a run is resumed. */
import type { Tensor } from '@tensorflow/tfjs';
import type { RestoredTensor } from '../../catalog/tensor.js';
import type { Json } from '../../format/state.js';

/**
 * A callback with state that belongs to the run, such as the best value so far or how long it has been waiting: it is saved with a checkpoint, and put
 * back when training goes on from it. A callback of your own takes part by having these members.
 */
export interface StatefulCallback {
  /** What its state is stored under: the same whenever the run is started. Several of one name in a `fit` are told apart by their order. */
  readonly stateName: string;
  /** The state now, as JSON; called between two batches. */
  getState(): Json;
  /** Puts back what `getState` gave, before the first batch. Throws `ERR_STATE` for what it cannot have given. */
  setState(state: Json): void;
  /** Tensors that belong to the state, by name; they stay the callback's, which may dispose them as soon as training goes on. */
  getTensors?(): Readonly<Record<string, Tensor>>;
  /** Puts back what `getTensors` gave, after `setState`; called only if there was any. The memory may be kept. */
  setTensors?(tensors: ReadonlyMap<string, RestoredTensor>): void;
}

/** Whether a callback, which may be anything that `fit` takes, has state. */
export function isStateful(callback: unknown): callback is StatefulCallback {
  if (typeof callback !== 'object' || callback === null) return false;
  const { stateName, getState, setState } = callback as Partial<StatefulCallback>;
  return typeof stateName === 'string' && typeof getState === 'function' && typeof setState === 'function';
}
