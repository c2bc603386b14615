/** Fits for the tests of callbacks: a small model, and metrics that follow a script. */
import type * as tensorflow from '@tensorflow/tfjs';
import { onTestFinished, vi } from 'vitest';
import { INPUTS, numbers, OUTPUTS, type Tf } from './tfjs.js';

const ROWS = 24;

/** Inputs and one-hot outputs that go away with the test. */
export function data(tf: Tf, rows = ROWS): { x: tensorflow.Tensor2D; y: tensorflow.Tensor2D } {
  const made = makeData(tf, rows);
  onTestFinished(() => tf.dispose(made));
  return made;
}

function makeData(tf: Tf, rows: number): { x: tensorflow.Tensor2D; y: tensorflow.Tensor2D } {
  const x = tf.tensor2d(numbers(rows * INPUTS, 7), [rows, INPUTS]);
  const labels = Array.from({ length: rows }, (_, i) => (i * 7) % OUTPUTS);
  const y = tf.tidy(() => tf.oneHot(labels, OUTPUTS).toFloat() as tensorflow.Tensor2D);
  return { x, y };
}

/** A plain object for `callbacks`: at the end of epoch i the logs say the i-th number of every list, whatever the model did. */
export function scripted(script: Readonly<Record<string, readonly number[]>>): tensorflow.CustomCallbackArgs {
  return {
    onEpochEnd(epoch, logs) {
      for (const [name, values] of Object.entries(script)) (logs as Record<string, number>)[name] = values[epoch] as number;
    },
  };
}

/** What is printed from now on, one string for each call of `console.log`. */
export function printed(): string[] {
  const lines: string[] = [];
  const spy = vi.spyOn(console, 'log').mockImplementation((...args: unknown[]) => void lines.push(args.join(' ')));
  onTestFinished(() => spy.mockRestore());
  return lines;
}

/** Fits `model` for as many epochs of three batches as the script has numbers; what it says is in the logs of all `callbacks`. */
export async function fitScript(
  tf: Tf,
  model: tensorflow.LayersModel,
  script: Readonly<Record<string, readonly number[]>>,
  callbacks: object | readonly object[],
): Promise<tensorflow.History> {
  const { x, y } = makeData(tf, ROWS);
  const epochs = Math.max(...Object.values(script).map((values) => values.length));
  const all = [scripted(script), ...(Array.isArray(callbacks) ? callbacks : [callbacks])] as tensorflow.CustomCallbackArgs[];
  try {
    return await model.fit(x, y, { verbose: 0, batchSize: 8, epochs, callbacks: all });
  } finally {
    tf.dispose([x, y]);
  }
}
