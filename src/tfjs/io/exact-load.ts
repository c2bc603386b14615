/**
 * Loading by `tf.loadLayersModel` without a loss. By itself tfjs copies every weight once more, applies constraints again, recomputes Adam's running products and
 * cannot load Adamax at all. It calls methods of the model on the way, though: where those are hooked, the model restores itself, as restoreModel does.
 */
import type { LayersModel } from '@tensorflow/tfjs';
import type { Restored } from '../../manager/restore.js';
import { applyRestored } from '../model/restore-model.js';

/** A checkpoint on its way into a model that tfjs is about to build. */
export interface ExactLoad {
  readonly restored: Restored;
  readonly includeOptimizer: boolean;
  /** The caller's own metadata of the model. */
  readonly metadata: object | undefined;
  /** Whether a model has taken it over: tfjs is then given no weights. */
  isTaken: boolean;
}

/** Parts of a model that its types leave out or call protected. */
interface Hooked {
  setUserDefinedMetadata(metadata: object): void;
  loadWeights(weights: object, strict?: boolean): void;
  isOptimizerOwned: boolean;
}

const loads = new WeakMap<object, ExactLoad>();
const taken = new WeakMap<object, ExactLoad>();
let isHooked = false;

/**
 * What goes to tfjs as the model's metadata, by which the model is told of `load`; undefined where nothing is hooked. A copy of tfjs that is not hooked takes it
 * for the metadata that it is.
 */
export function announce(load: ExactLoad): object | undefined {
  if (!isHooked) return load.metadata;
  const metadata = { ...load.metadata };
  loads.set(metadata, load);
  return metadata;
}

/** Hooks the models of one tfjs. */
export function hookLoading(prototype: LayersModel): void {
  const methods = prototype as unknown as Hooked;
  const { setUserDefinedMetadata, loadWeights } = methods;
  methods.setUserDefinedMetadata = function (this: Hooked, metadata) {
    const load = loads.get(metadata);
    if (load !== undefined) {
      load.isTaken = true;
      taken.set(this, load);
      if (load.metadata === undefined) return;
    }
    setUserDefinedMetadata.call(this, load?.metadata ?? metadata);
  };
  methods.loadWeights = function (this: Hooked, weights, strict = true) {
    const load = taken.get(this);
    if (load === undefined) return loadWeights.call(this, weights, strict);
    taken.delete(this);
    const { restored, includeOptimizer } = load;
    applyRestored(this as unknown as LayersModel, restored, { includeOptimizer, mode: strict ? 'strict' : 'weak' });
    // Nobody else has this optimizer, so it goes with model.dispose().
    if (includeOptimizer) this.isOptimizerOwned = true;
  };
  isHooked = true;
}
