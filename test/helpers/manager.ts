import { onTestFinished } from 'vitest';
import { CheckpointManager } from '../../src/manager/manager.js';
import type { OpenOptions } from '../../src/manager/options.js';

/** A manager that the end of the test closes. */
export async function openManager(directory: string, options: OpenOptions = {}): Promise<CheckpointManager> {
  const manager = await CheckpointManager.open(directory, options);
  onTestFinished(() => manager.close());
  return manager;
}

/** A small request whose contents follow from its step. */
export function smallRequest(step: number, elements = 1000) {
  return {
    step,
    metrics: { loss: 1 / (step + 1) },
    state: { step },
    tensors: { x: { dtype: 'F32' as const, shape: [elements], data: new Float32Array(elements).fill(step) } },
  };
}
