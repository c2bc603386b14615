/** TensorFlow.js with one of its backends active; one per process, since all copies of it share an engine. */
import { afterAll, beforeAll } from 'vitest';
import type { Tf } from './tfjs.js';
import { loadTfjsNode } from './tfjs-node.js';

export type BackendName = 'cpu' | 'wasm' | 'tensorflow';

export interface LoadedBackend {
  readonly name: BackendName;
  readonly tf: Tf;
  /** Whether float32 and int32 are in arrays of JavaScript memory, so that no tensor need be held. */
  readonly inJavaScript: boolean;
  readonly hasComplex: boolean;
}

/** The backend, or why it cannot be had here. It is made active for the tests of the file. */
export async function loadBackend(name: BackendName): Promise<{ backend?: LoadedBackend; reason?: string }> {
  const { tf, reason } = name === 'tensorflow' ? loadTfjsNode() : { tf: await import('@tensorflow/tfjs'), reason: undefined };
  if (tf === undefined) return { reason: reason as string };
  if (name === 'wasm') await import('@tensorflow/tfjs-backend-wasm');
  beforeAll(() => activate(tf, name));
  // What a test has made active instead must not reach the hooks of others.
  afterAll(() => activate(tf, name));
  return { backend: { name, tf, inJavaScript: name === 'cpu', hasComplex: name !== 'wasm' } };
}

export async function activate(tf: Tf, name: string): Promise<void> {
  if (!(await tf.setBackend(name))) throw new Error(`The backend ${name} cannot be made active.`);
}
