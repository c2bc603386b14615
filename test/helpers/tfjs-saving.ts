/** Steering saves in tests: what a model is at one moment, and saves that wait. */
import type * as tensorflow from '@tensorflow/tfjs';
import { onTestFinished } from 'vitest';
import type { CheckpointManager } from '../../src/manager/manager.js';
import type { TensorInput } from '../../src/snapshot/source.js';
import { optimizerOf, weightsOf } from './tfjs.js';

/** Every bit that training goes on from. */
export function stateOf(model: tensorflow.LayersModel): { weights: Record<string, string>; optimizer: Record<string, unknown> } {
  return { weights: weightsOf(model), optimizer: optimizerOf(model) };
}

/**
 * Keeps `manager` busy with a save of step 0 until `open` is called: what is saved meanwhile is captured, and cannot be read before.
 * Opens by itself when the test ends.
 */
export function holdUp(manager: CheckpointManager): { open(): Promise<unknown> } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  async function* wait() {
    await opened;
    yield new Uint8Array(1);
  }
  const data = { byteLength: 1, [Symbol.asyncIterator]: wait };
  const saved = manager.save({ step: 0, tensors: [{ name: 'gate', dtype: 'U8', shape: [1], data }] });
  onTestFinished(async () => {
    open();
    await saved.catch(() => {});
  });
  return {
    open() {
      open();
      return saved;
    },
  };
}

/** All bytes of a captured tensor, and the lengths of the pieces that it came in: none if it was memory. */
export async function collect({ data }: TensorInput): Promise<{ bytes: Buffer; pieces: number[] }> {
  if (ArrayBuffer.isView(data)) return { bytes: Buffer.from(data.buffer, data.byteOffset, data.byteLength), pieces: [] };
  const chunks: Uint8Array[] = [];
  for await (const chunk of data as AsyncIterable<Uint8Array>) chunks.push(chunk);
  return { bytes: Buffer.concat(chunks), pieces: chunks.map(({ length }) => length) };
}
