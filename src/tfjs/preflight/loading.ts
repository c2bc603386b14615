/** What will be wrong with a model when it is loaded, looked at when it is first saved and when it is compiled anew. */
import type { LayersModel } from '@tensorflow/tfjs';
import type { CapturedTraining } from '../training-config.js';
import { tryLayers } from './layers.js';
import type { Warning } from './problem.js';
import { tryTraining } from './training.js';
import { withoutTrace } from './trial.js';

/** All warnings of a model; it is left as it is, and no random numbers are drawn. */
export function tryLoading(model: LayersModel, topology: unknown, training: CapturedTraining): Warning[] {
  return withoutTrace(() => [...tryLayers(model, topology), ...tryTraining(model, training)]);
}

interface Looked {
  readonly at: readonly unknown[];
  readonly warnings: readonly Warning[];
}

const looked = new WeakMap<LayersModel, Looked>();

/** As {@link tryLoading}, once for a model as it is now; what is wrong is said once as a `HoldfastWarning`, too. */
export function warningsOfLoading(model: LayersModel, topology: unknown, training: CapturedTraining): readonly Warning[] {
  const { loss, metrics } = model as unknown as { loss: unknown; metrics: unknown };
  const at = [model.optimizer, loss, metrics, model.layers.length];
  const before = looked.get(model);
  if (before?.at.every((each, i) => each === at[i])) return before.warnings;
  const warnings = tryLoading(model, topology, training);
  looked.set(model, { at, warnings });
  const said = new Set(before?.warnings.map(({ message }) => message));
  for (const { message } of warnings) if (!said.has(message)) process.emitWarning(message, 'HoldfastWarning');
  return warnings;
}
