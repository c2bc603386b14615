/** Training loops to be disturbed. */
import { createRequire } from 'node:module';
import path from 'node:path';
import { randomFloats } from '../random.js';
import type { LoopName } from './messages.js';

export interface Loop {
  readonly name: LoopName;
  /** A few milliseconds: short against a save. */
  readonly step: () => Promise<unknown>;
}

/** As much of TensorFlow.js as is used here: it is no dependency, so its types need not be there. */
interface Tf {
  enableProdMode(): void;
  setBackend(name: string): Promise<boolean>;
  ready(): Promise<void>;
  sequential(options: { layers: unknown[] }): {
    compile(options: Record<string, unknown>): void;
    trainOnBatch(x: unknown, y: unknown): Promise<unknown>;
  };
  layers: { dense(options: Record<string, unknown>): unknown };
  randomNormal(shape: number[]): unknown;
  randomUniform(shape: number[], low: number, high: number, dtype: string): unknown;
  oneHot(indices: unknown, depth: number): unknown;
}

const TFJS: string = '@tensorflow/tfjs';

/** As seen from this package, or else from the current directory. */
async function loadTfjs(): Promise<Tf | undefined> {
  try {
    return (await import(TFJS)) as Tf;
  } catch {
    try {
      return createRequire(path.resolve('package.json'))(TFJS) as Tf;
    } catch {
      return undefined;
    }
  }
}

/** Real steps of a small network on the cpu backend of TensorFlow.js; a plain loop where that is not installed. */
export async function makeLoop(): Promise<Loop> {
  const tf = await loadTfjs();
  return tf === undefined ? { name: 'plain', step: plainStep() } : { name: 'tfjs', step: await tfjsStep(tf) };
}

async function tfjsStep(tf: Tf): Promise<Loop['step']> {
  // Without it tfjs greets and advises on stderr, and checks every value for NaN.
  tf.enableProdMode();
  await tf.setBackend('cpu');
  await tf.ready();
  const model = tf.sequential({
    layers: [
      tf.layers.dense({ inputShape: [64], units: 128, activation: 'relu' }),
      tf.layers.dense({ units: 64, activation: 'relu' }),
      tf.layers.dense({ units: 10, activation: 'softmax' }),
    ],
  });
  model.compile({ optimizer: 'adam', loss: 'categoricalCrossentropy' });
  const x = tf.randomNormal([16, 64]);
  const y = tf.oneHot(tf.randomUniform([16], 0, 10, 'int32'), 10);
  return () => model.trainOnBatch(x, y);
}

/** A multiplication of matrices: work for one core and its cache. */
function plainStep(): Loop['step'] {
  const n = 128;
  const a = randomFloats(n * n, 1).map((_, i) => (i % 7) / 7);
  const b = randomFloats(n * n, 2).map((_, i) => (i % 5) / 5);
  const c = new Float32Array(n * n);
  return async () => {
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) {
        let sum = 0;
        for (let k = 0; k < n; k++) sum += (a[i * n + k] as number) * (b[k * n + j] as number);
        c[i * n + j] = sum;
      }
    }
  };
}
