/** What will be wrong with a model when it is loaded, looked at when it is first saved and when it is compiled anew. */
import type { LayersModel } from '@tensorflow/tfjs';
import type { CapturedTraining } from '../model/training-config.js';
import { tryLayers } from './layers.js';
import type { Warning } from './problem.js';
import { changedTrainable } from './trainable.js';
import { tryTraining } from './training.js';
import { withoutTrace } from './trial.js';

interface Looked {
  /** What it was compiled with, and how many layers and trainable weights it had. */
  readonly at: readonly unknown[];
  readonly warnings: readonly Warning[];
  /** What was said as a `HoldfastWarning`. */
  readonly said: Set<string>;
}

const looked = new WeakMap<LayersModel, Looked>();

/** All warnings of a model; it is left as it is, and no random numbers are drawn. */
export function tryLoading(model: LayersModel, topology: unknown, training: CapturedTraining): readonly Warning[] {
  const warnings = withoutTrace(() => [...tryLayers(model, topology), ...tryTraining(model, training), ...changedTrainable(model)]);
  looked.set(model, { at: compiledWith(model), warnings, said: looked.get(model)?.said ?? new Set() });
  return warnings;
}

/** As {@link tryLoading}, once for a model as it is now, since it takes milliseconds; says each warning once as a `HoldfastWarning`, too. */
export function warningsOfLoading(model: LayersModel, topology: unknown, training: CapturedTraining): readonly Warning[] {
  const at = compiledWith(model);
  if (looked.get(model)?.at.every((each, i) => each === at[i]) !== true) tryLoading(model, topology, training);
  const { warnings, said } = looked.get(model) as Looked;
  for (const { message } of warnings) {
    if (said.has(message)) continue;
    said.add(message);
    process.emitWarning(message, 'HoldfastWarning');
  }
  return warnings;
}

function compiledWith(model: LayersModel): unknown[] {
  const { loss, metrics } = model as unknown as { loss: unknown; metrics: unknown };
  return [model.optimizer, loss, metrics, model.layers.length, model.trainableWeights.length];
}
