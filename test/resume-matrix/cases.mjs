// The cases of the matrix: every optimizer of TensorFlow.js, three kinds of models, two kinds of data.

/** With settings that are not the defaults. */
export const OPTIMIZERS = {
  SGD: (tf) => tf.train.sgd(0.05),
  Momentum: (tf) => tf.train.momentum(0.03, 0.8),
  Nesterov: (tf) => tf.train.momentum(0.03, 0.8, true),
  RMSProp: (tf) => tf.train.rmsprop(0.01, 0.85, 0.5),
  'RMSProp-centered': (tf) => tf.train.rmsprop(0.01, 0.85, 0.5, 1e-3, true),
  Adagrad: (tf) => tf.train.adagrad(0.05, 0.2),
  Adadelta: (tf) => tf.train.adadelta(0.5, 0.9),
  Adam: (tf) => tf.train.adam(0.01, 0.85, 0.99),
  Adamax: (tf) => tf.train.adamax(0.01, 0.85, 0.99, 1e-7, 0.01),
};

const CLASSES = 3;

/** Each with the shape of one sample. */
export const MODELS = {
  dense: {
    shape: [6],
    layers: (tf, inputShape) => [
      tf.layers.dense({ name: 'first', inputShape, units: 7, activation: 'relu', kernelRegularizer: 'l1l2' }),
      tf.layers.gaussianNoise({ name: 'noise', stddev: 0.1 }),
    ],
  },
  conv: {
    shape: [5, 5, 2],
    layers: (tf, inputShape) => [
      tf.layers.conv2d({ name: 'conv', inputShape, filters: 3, kernelSize: 3, activation: 'relu' }),
      tf.layers.batchNormalization({ name: 'norm' }),
      tf.layers.flatten({ name: 'flat' }),
    ],
  },
  lstm: {
    shape: [4, 3],
    layers: (tf, inputShape) => [
      tf.layers.lstm({ name: 'lstm', inputShape, units: 4, dropout: 0.2, recurrentDropout: 0.2 }),
      tf.layers.dropout({ name: 'drop', rate: 0.3 }),
    ],
  },
};

export const DATA = ['array', 'tf.data'];

export const NAMES = Object.keys(OPTIMIZERS).flatMap((optimizer) =>
  Object.keys(MODELS).flatMap((model) => DATA.map((data) => `${optimizer} ${model} ${data}`)),
);

/** The model of a case, compiled. */
export function buildModel(tf, name) {
  const [optimizer, model] = name.split(' ');
  const { shape, layers } = MODELS[model];
  const head = tf.layers.dense({ name: 'head', units: CLASSES, activation: 'softmax' });
  const built = tf.sequential({ layers: [...layers(tf, shape), head] });
  built.compile({ optimizer: OPTIMIZERS[optimizer](tf), loss: 'categoricalCrossentropy', metrics: ['accuracy'] });
  return built;
}

/** Samples and labels, the same every time. */
export function makeSamples(name, count) {
  const { shape } = MODELS[name.split(' ')[1]];
  const size = shape.reduce((product, each) => product * each, 1);
  let seed = 12345;
  const next = () => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return seed / 2 ** 31 - 1;
  };
  const x = Float32Array.from({ length: count * size }, next);
  const y = Float32Array.from({ length: count * CLASSES }, (_, i) => (i % CLASSES === (Math.floor(i / CLASSES) * 7) % CLASSES ? 1 : 0));
  return { x, y, shape, size, classes: CLASSES };
}

/**
 * Twelve cases with as many pairs as twelve can have: all six of model and data, twelve of the 27 of optimizer and model, twelve of the 18 of optimizer
 * and data.
 */
export const PAIRWISE = [
  'SGD dense array',
  'SGD conv tf.data',
  'Momentum conv tf.data',
  'Nesterov lstm array',
  'RMSProp dense tf.data',
  'RMSProp-centered conv array',
  'Adagrad lstm tf.data',
  'Adadelta dense array',
  'Adam conv tf.data',
  'Adam lstm array',
  'Adamax lstm array',
  'Adamax dense tf.data',
];
