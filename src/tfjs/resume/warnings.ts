/** What makes it impossible that a run goes on exactly is said, once in a process. */
import type { LayersModel } from '@tensorflow/tfjs';
import { runningEngine } from '../engine.js';

const SAID = new Set<string>();

/** Warns, unless that was said before. */
export function warn(message: string): void {
  if (SAID.has(message)) return;
  SAID.add(message);
  process.emitWarning(message, 'HoldfastWarning');
}

/** Backends on which a computation that is done again gives the same bits. */
const EXACT_BACKENDS: readonly string[] = ['cpu', 'wasm', 'tensorflow'];

/** Warns of what in a model or backend is not saved or not repeatable. */
export function warnOfInexact(model: LayersModel): void {
  const stateful = model.layers.filter((layer) => (layer as { readonly stateful?: boolean }).stateful === true).map(({ name }) => name);
  if (stateful.length > 0) {
    warn(
      `The state that stateful layers carry from batch to batch is not part of a TensorFlow.js model (${stateful.join(', ')}): it begins anew when the run is resumed, which is exact only where it is reset at that batch anyway.`,
    );
  }
  const { backendName } = runningEngine();
  if (EXACT_BACKENDS.includes(backendName)) return;
  warn(
    `On the backend ${JSON.stringify(backendName)} the same computation may give other bits when it is done again, so a resumed run may differ from one that was never interrupted.`,
  );
}
