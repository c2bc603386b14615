// TensorFlow.js models large enough to be worth measuring, and the two backends that training in Node.js uses.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import util from 'node:util';
import { Missing } from './missing.mjs';

const TFJS_NODE = fileURLToPath(new URL('../../.cache/tfjs-node', import.meta.url));

/** The module, with its backend active. `node` is the real tfjs-node. */
export async function loadTf(backend) {
  const tf = backend === 'node' ? loadTfjsNode() : await import('@tensorflow/tfjs');
  // Without it tfjs greets and advises on stderr, and checks every value for NaN.
  tf.enableProdMode();
  await tf.setBackend(backend === 'node' ? 'tensorflow' : backend);
  await tf.ready();
  return tf;
}

function loadTfjsNode() {
  if (!existsSync(`${TFJS_NODE}/ready.json`)) throw new Missing('tfjs-node is not set up: run "npm run setup:tfjs-node".');
  // tfjs-node 4.22 uses what Node.js 24 has removed.
  util.isNullOrUndefined ??= (value) => value === null || value === undefined;
  util.isArray ??= Array.isArray;
  process.env.TF_CPP_MIN_LOG_LEVEL ??= '2';
  // It looks for its binding with node-pre-gyp, which takes this program's --dir for its own.
  const { argv } = process;
  process.argv = argv.slice(0, 2);
  try {
    return createRequire(import.meta.url)(`${TFJS_NODE}/node_modules/@tensorflow/tfjs-node`);
  } finally {
    process.argv = argv;
  }
}

/**
 * A Sequential of about `params` parameters, compiled with Adam: a wide layer up and down, as in a transformer's block, and twelve square
 * ones. The largest tensor is a quarter of all.
 */
export function denseModel(tf, params) {
  const width = Math.max(2, Math.round(Math.sqrt(params / 24)));
  const dense = (name, units, more = {}) => tf.layers.dense({ name, units, activation: 'tanh', ...more });
  const square = Array.from({ length: 12 }, (_, i) => dense(`square_${i}`, width));
  const layers = [dense('up', 6 * width, { inputShape: [width] }), dense('down', width), ...square];
  const model = tf.sequential({ layers });
  model.compile({ optimizer: tf.train.adam(1e-4), loss: 'meanSquaredError' });
  return model;
}

/** One real training step on random data, of `batch` examples; the first one makes the optimizer's slots. */
export async function trainStep(tf, model, batch = 1) {
  const width = model.inputs[0].shape[1];
  const units = model.outputs[0].shape[1];
  const x = tf.randomNormal([batch, width]);
  const y = tf.randomUniform([batch, units], -1, 1);
  await model.trainOnBatch(x, y);
  tf.dispose([x, y]);
}

/** Every tensor that a save of `model` with its optimizer writes. */
export function tensorsOf(model) {
  const { accumulatedFirstMoment = [], accumulatedSecondMoment = [] } = model.optimizer;
  return [
    ...model.weights.map((weight) => weight.read()),
    ...[...accumulatedFirstMoment, ...accumulatedSecondMoment].map(({ variable }) => variable),
  ];
}

export function bytesOf(tensors) {
  return tensors.reduce((sum, { size }) => sum + 4 * size, 0);
}

export function largestOf(tensors) {
  return tensors.reduce((largest, tensor) => (tensor.size > largest.size ? tensor : largest));
}

/** A small image classifier, for images of 32 x 32 in colour: convolutions of `width` and twice as many channels, compiled with Adam. */
export function convolutionalModel(tf, width) {
  const convolution = (filters, more = {}) => tf.layers.conv2d({ filters, kernelSize: 3, padding: 'same', activation: 'relu', ...more });
  const pool = () => tf.layers.maxPooling2d({ poolSize: 2 });
  const model = tf.sequential({
    layers: [
      ...[convolution(width, { inputShape: [32, 32, 3] }), convolution(width), pool()],
      ...[convolution(2 * width), convolution(2 * width), pool(), tf.layers.flatten()],
      tf.layers.dense({ units: 16 * width, activation: 'relu' }),
      tf.layers.dense({ units: 10, activation: 'softmax' }),
    ],
  });
  model.compile({ optimizer: tf.train.adam(1e-4), loss: 'categoricalCrossentropy' });
  return model;
}
