/**
 * The running TensorFlow.js. Every package of it that shares a process (tfjs, tfjs-core, tfjs-node) shares one
 * engine, which it keeps in a global: taking it from there never loads a second copy.
 */
import type * as tensorflow from '@tensorflow/tfjs';
import { HoldfastError } from '../errors.js';

/** What `import * as tf` gives, from @tensorflow/tfjs, tfjs-node or tfjs-node-gpu. */
export type Tf = typeof tensorflow;

export type Engine = ReturnType<Tf['engine']>;

/** The engine that all tensors of this process live in. Throws `ERR_UNSUPPORTED` where none is running. */
export function runningEngine(): Engine {
  const { _tfengine: engine } = globalThis as { _tfengine?: Engine };
  if (engine !== undefined) return engine;
  throw new HoldfastError('ERR_UNSUPPORTED', 'TensorFlow.js is not loaded in this process. Import @tensorflow/tfjs or tfjs-node first.');
}

/**
 * The caller's `tf`, or else @tensorflow/tfjs as this library finds it; needed only where a model is built.
 * Throws `ERR_UNSUPPORTED` where it is not installed.
 */
export async function resolveTf(given: Tf | undefined): Promise<Tf> {
  if (given !== undefined) return given;
  try {
    const found = (await import('@tensorflow/tfjs')) as Tf & { default?: Tf };
    return found.models === undefined && found.default !== undefined ? found.default : found;
  } catch (cause) {
    throw new HoldfastError(
      'ERR_UNSUPPORTED',
      '@tensorflow/tfjs cannot be found from holdfast. Install it, or pass the module that you use: loadModel(…, …, { tf }).',
      { cause },
    );
  }
}
