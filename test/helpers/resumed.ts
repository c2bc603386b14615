/** A small training that is interrupted, and what is compared of it. */
import type * as tensorflow from '@tensorflow/tfjs';
import { installRandom, type ResumableOptions, type ResumableRun, resumable } from '../../src/tfjs/index.js';
import { INPUTS, numbers, OUTPUTS, optimizerOf, type Tf, weightsOf } from './tfjs.js';

/** The interruption, as a callback throws it. */
export class Interruption extends Error {}

export interface Attempt {
  readonly directory: string;
  readonly options?: Omit<ResumableOptions, 'directory'>;
  /** Throws before or behind this step of the run, counted from 0, or where an epoch ends behind it. */
  readonly interrupt?: { readonly step: number; readonly at: 'begin' | 'end' | 'epoch' };
  readonly build?: (tf: Tf) => tensorflow.LayersModel;
  /** Default: a fit of 3 epochs of 4 batches, shuffled. */
  readonly train?: (
    run: ResumableRun,
    callbacks: tensorflow.CustomCallbackArgs,
    model: tensorflow.LayersModel,
  ) => Promise<tensorflow.History>;
}

export interface Outcome {
  readonly resumedAt: number;
  readonly steps: number;
  readonly losses: ReadonlyMap<number, number>;
  readonly epochs: readonly number[];
  readonly history: tensorflow.History['history'];
  readonly weights: Record<string, string>;
  readonly optimizer: Record<string, unknown>;
}

/** Trains, or goes on, in a process of its own as far as random numbers and the model go. Undefined if it was interrupted. */
export async function attempt(tf: Tf, given: Attempt): Promise<Outcome | undefined> {
  const { directory, options = {}, interrupt, build = buildDense, train = trainArrays(tf) } = given;
  const random = installRandom('the seed');
  const model = build(tf);
  let run: ResumableRun | undefined;
  try {
    run = await resumable(model, { directory, ...options });
    const resumedAt = run.restored?.step ?? 0;
    const losses = new Map<number, number>();
    const { history, epoch: epochs } = await train(run, recorder(resumedAt, losses, interrupt), model);
    return { resumedAt, steps: run.steps, losses, epochs, history, weights: weightsOf(model), optimizer: optimizerOf(model) };
  } catch (error) {
    if (error instanceof Interruption) return undefined;
    throw error;
  } finally {
    await run?.close();
    random.uninstall();
    model.optimizer.dispose();
    model.dispose();
  }
}

export function recorder(first: number, losses: Map<number, number>, interrupt: Attempt['interrupt']): tensorflow.CustomCallbackArgs {
  let step = first;
  const stop = (at: string) => {
    if (interrupt?.at === at && (at === 'epoch' ? step > interrupt.step : step === interrupt.step)) throw new Interruption();
  };
  return {
    onBatchBegin: async () => stop('begin'),
    onBatchEnd: async (_batch, logs) => {
      losses.set(step, logs?.['loss'] as number);
      stop('end');
      step++;
    },
    onEpochEnd: async () => stop('epoch'),
  };
}

export function buildDense(tf: Tf): tensorflow.LayersModel {
  const model = tf.sequential({
    layers: [
      tf.layers.dense({ name: 'first', inputShape: [INPUTS], units: 5, activation: 'relu' }),
      tf.layers.dropout({ name: 'drop', rate: 0.3 }),
      tf.layers.dense({ name: 'head', units: OUTPUTS, activation: 'softmax' }),
    ],
  });
  model.compile({ optimizer: tf.train.adam(0.05), loss: 'categoricalCrossentropy', metrics: ['accuracy'] });
  return model;
}

/** Rows of inputs and labels. */
export function rowsOf(count: number): { xs: number[]; ys: number[] }[] {
  const x = numbers(count * INPUTS, 7);
  return Array.from({ length: count }, (_, i) => ({
    xs: [...x.slice(i * INPUTS, (i + 1) * INPUTS)],
    ys: Array.from({ length: OUTPUTS }, (_, k) => (k === (i * 5) % OUTPUTS ? 1 : 0)),
  }));
}

export function arraysOf(tf: Tf, count: number): [tensorflow.Tensor2D, tensorflow.Tensor2D] {
  const rows = rowsOf(count);
  return [tf.tensor2d(rows.map(({ xs }) => xs)), tf.tensor2d(rows.map(({ ys }) => ys))];
}

/** 4 batches of 3 an epoch, the last of 2. */
export const SAMPLES = 11;

/** Fits arrays: 3 epochs of 4 batches. */
export function trainArrays(tf: Tf, args: tensorflow.ModelFitArgs = {}): NonNullable<Attempt['train']> {
  return async (run, callbacks) => {
    const [x, y] = arraysOf(tf, SAMPLES);
    try {
      return await run.fit(x, y, { epochs: 3, batchSize: 3, verbose: 0, callbacks, ...args });
    } finally {
      tf.dispose([x, y]);
    }
  };
}

/** What a resumed run must have in common with one that was never interrupted. */
export function comparable({ losses, resumedAt: _, ...rest }: Outcome, from: number): unknown {
  return { ...rest, losses: [...losses].filter(([step]) => step >= from) };
}
