/** Models, data and looks into models for the tests of holdfast/tfjs; they know nothing of its code. */
import type * as tensorflow from '@tensorflow/tfjs';
import { random32 } from './random.js';

export type Tf = typeof tensorflow;

/** Uniform numbers in [-1, 1). */
export function numbers(count: number, seed: number): Float32Array {
  const next = random32(seed);
  return Float32Array.from({ length: count }, () => next() / 2 ** 31 - 1);
}

export const INPUTS = 6;
export const OUTPUTS = 3;
const BATCH = 8;

/** A Sequential with what is easily got wrong: moving statistics, a layer without bias, optionally a constraint. */
export function sequentialModel(tf: Tf, optimizer?: tensorflow.Optimizer | string, kernelConstraint?: 'unitNorm'): tensorflow.Sequential {
  const constraint = kernelConstraint === undefined ? {} : { kernelConstraint };
  const model = tf.sequential({
    layers: [
      tf.layers.dense({ name: 'first', inputShape: [INPUTS], units: 7, activation: 'relu', ...constraint }),
      tf.layers.batchNormalization({ name: 'norm' }),
      tf.layers.dense({ name: 'hidden', units: 5, activation: 'tanh', useBias: false }),
      tf.layers.dense({ name: 'head', units: OUTPUTS, activation: 'softmax' }),
    ],
  });
  if (optimizer !== undefined) model.compile({ optimizer, loss: 'categoricalCrossentropy', metrics: ['accuracy'] });
  return model;
}

/** A functional model with two branches and a frozen layer. */
export function functionalModel(tf: Tf, optimizer?: tensorflow.Optimizer | string): tensorflow.LayersModel {
  const input = tf.input({ shape: [INPUTS], name: 'in' });
  const left = tf.layers.dense({ name: 'left', units: 4, activation: 'relu' }).apply(input) as tensorflow.SymbolicTensor;
  const right = tf.layers.dense({ name: 'right', units: 4, trainable: false }).apply(input) as tensorflow.SymbolicTensor;
  const joined = tf.layers.concatenate({ name: 'join' }).apply([left, right]) as tensorflow.SymbolicTensor;
  const output = tf.layers.dense({ name: 'out', units: OUTPUTS, activation: 'softmax' }).apply(joined) as tensorflow.SymbolicTensor;
  const model = tf.model({ inputs: input, outputs: output, name: 'branches' });
  if (optimizer !== undefined) model.compile({ optimizer, loss: 'categoricalCrossentropy' });
  return model;
}

/** Trains for the steps `from` to `to`, each on a batch that follows from its number. */
export async function train(tf: Tf, model: tensorflow.LayersModel, from: number, to: number): Promise<void> {
  for (let step = from; step < to; step++) {
    const x = tf.tensor2d(numbers(BATCH * INPUTS, step + 1), [BATCH, INPUTS]);
    const y = tf.tidy(() =>
      tf
        .oneHot(
          Array.from({ length: BATCH }, (_, i) => (i * 7 + step) % OUTPUTS),
          OUTPUTS,
        )
        .toFloat(),
    );
    await model.trainOnBatch(x, y);
    tf.dispose([x, y]);
  }
}

/** The model's outputs for a fixed batch. */
export function predictions(tf: Tf, model: tensorflow.LayersModel): string {
  return tf.tidy(() => hex((model.predict(tf.tensor2d(numbers(4 * INPUTS, 999), [4, INPUTS])) as tensorflow.Tensor).dataSync()));
}

/** Bytes as text, so that −0, NaN payloads and the last bit count when states are compared. */
function hex(data: ArrayBufferView): string {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('hex');
}

/** Every weight's bytes, by name. */
export function weightsOf(model: tensorflow.LayersModel): Record<string, string> {
  return Object.fromEntries(model.weights.map((weight) => [weight.originalName, hex(weight.read().dataSync())]));
}

/** Every field of the optimizer: numbers as they are, tensors and lists of slots as bytes. Found by looking, not from a list. */
export function optimizerOf(model: tensorflow.LayersModel): Record<string, unknown> {
  return fieldsOf(model.optimizer);
}

export function fieldsOf(optimizer: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(optimizer).map(([name, value]) => [name, look(value)]));
}

function look(value: unknown): unknown {
  if (Array.isArray(value)) return value.map((slot: { variable: tensorflow.Variable }) => hex(slot.variable.dataSync()));
  if (typeof value === 'object' && value !== null && 'dataSync' in value) return hex((value as tensorflow.Tensor).dataSync());
  return value;
}

/** The optimizers of TensorFlow.js, with settings that are not the defaults. */
export const OPTIMIZERS: Readonly<Record<string, (tf: Tf) => tensorflow.Optimizer>> = {
  SGD: (tf) => tf.train.sgd(0.05),
  Momentum: (tf) => tf.train.momentum(0.03, 0.8),
  'Momentum with Nesterov': (tf) => tf.train.momentum(0.03, 0.8, true),
  RMSProp: (tf) => tf.train.rmsprop(0.01, 0.85, 0.5),
  'RMSProp, centered': (tf) => tf.train.rmsprop(0.01, 0.85, 0.5, 1e-6, true),
  Adagrad: (tf) => tf.train.adagrad(0.05, 0.2),
  Adadelta: (tf) => tf.train.adadelta(0.9, 0.9),
  Adam: (tf) => tf.train.adam(0.01, 0.85, 0.99),
  Adamax: (tf) => tf.train.adamax(0.01, 0.85, 0.99, 1e-7, 0.01),
};

/** Tensors and their buffers that are alive. */
export function alive(tf: Tf): { numTensors: number; numDataBuffers: number } {
  const { numTensors, numDataBuffers } = tf.memory();
  return { numTensors, numDataBuffers };
}
