/** A model around every layer that TensorFlow.js has, with settings that are not the defaults. */
import type * as tensorflow from '@tensorflow/tfjs';
import type { Tf } from './tfjs.js';

/** Name, shape of the input without the batch, and settings. */
const LAYERS: readonly (readonly [name: string, input: readonly number[], settings: object])[] = [
  ['dense', [3], { units: 2, kernelRegularizer: 'l1l2', kernelConstraint: 'unitNorm', kernelInitializer: 'heNormal' }],
  ['activation', [3], { activation: 'relu' }],
  ['dropout', [3], { rate: 0.5, seed: 3 }],
  ['batchNormalization', [3], { momentum: 0.8 }],
  ['layerNormalization', [3], { epsilon: 0.01 }],
  ['embedding', [4], { inputDim: 10, outputDim: 3, maskZero: true }],
  ['flatten', [2, 2], {}],
  ['reshape', [4], { targetShape: [2, 2] }],
  ['permute', [2, 3], { dims: [2, 1] }],
  ['repeatVector', [3], { n: 2 }],
  ['conv1d', [8, 2], { filters: 2, kernelSize: 3, padding: 'causal' }],
  ['conv2d', [8, 8, 1], { filters: 2, kernelSize: 3, dataFormat: 'channelsLast' }],
  ['conv2dTranspose', [8, 8, 1], { filters: 2, kernelSize: 3 }],
  ['conv3d', [4, 4, 4, 1], { filters: 1, kernelSize: 2 }],
  ['conv3dTranspose', [4, 4, 4, 1], { filters: 1, kernelSize: 2 }],
  ['separableConv2d', [8, 8, 2], { filters: 2, kernelSize: 3 }],
  ['depthwiseConv2d', [8, 8, 2], { kernelSize: 3 }],
  [
    'cropping2D',
    [8, 8, 2],
    {
      cropping: [
        [1, 1],
        [1, 2],
      ],
    },
  ],
  ['upSampling2d', [4, 4, 1], { interpolation: 'bilinear' }],
  ['zeroPadding2d', [4, 4, 1], { padding: 2 }],
  ['maxPooling1d', [8, 2], { poolSize: 2 }],
  ['averagePooling1d', [8, 2], { poolSize: 2 }],
  ['maxPooling2d', [8, 8, 2], { strides: 1 }],
  ['averagePooling2d', [8, 8, 2], {}],
  ['maxPooling3d', [4, 4, 4, 1], { poolSize: 2 }],
  ['averagePooling3d', [4, 4, 4, 1], { poolSize: 2 }],
  ['globalMaxPooling1d', [8, 2], {}],
  ['globalAveragePooling1d', [8, 2], {}],
  ['globalMaxPooling2d', [8, 8, 2], {}],
  ['globalAveragePooling2d', [8, 8, 2], {}],
  ['simpleRNN', [5, 2], { units: 3, stateful: false }],
  ['lstm', [5, 2], { units: 3, recurrentDropout: 0.1, dropout: 0.2, returnSequences: true }],
  ['gru', [5, 2], { units: 3, resetAfter: false }],
  ['convLstm2d', [3, 8, 8, 1], { filters: 2, kernelSize: 3 }],
  ['elu', [3], {}],
  ['leakyReLU', [3], { alpha: 0.2 }],
  ['prelu', [3], {}],
  ['reLU', [3], { maxValue: 6 }],
  ['softmax', [3], { axis: -1 }],
  ['thresholdedReLU', [3], { theta: 0.3 }],
  ['masking', [5, 2], { maskValue: 1 }],
  ['gaussianNoise', [3], { stddev: 0.3 }],
  ['gaussianDropout', [3], { rate: 0.4 }],
  ['alphaDropout', [3], { rate: 0.3 }],
  ['spatialDropout1d', [5, 2], { rate: 0.3, seed: 7 }],
  ['rescaling', [4, 4, 1], { scale: 0.5, offset: 1 }],
  ['resizing', [4, 4, 1], { height: 2, width: 2 }],
  ['centerCrop', [8, 8, 1], { height: 2, width: 2 }],
  ['categoryEncoding', [3], { numTokens: 5, outputMode: 'multiHot' }],
];

const MERGES = ['add', 'average', 'concatenate', 'maximum', 'minimum', 'multiply', 'dot'];

type Factory = (settings: object) => tensorflow.layers.Layer;

/** The models, each made as it is asked for. */
export function* builtInModels(tf: Tf): Generator<tensorflow.LayersModel> {
  const factories = tf.layers as unknown as Readonly<Record<string, Factory>>;
  const around = (input: readonly number[], layer: tensorflow.layers.Layer) =>
    tf.sequential({ layers: [tf.layers.inputLayer({ inputShape: [...input] }), layer] });
  for (const [name, input, settings] of LAYERS) yield around(input, (factories[name] as Factory)(settings));
  yield around([5, 2], tf.layers.bidirectional({ layer: tf.layers.lstm({ units: 3 }) as never, mergeMode: 'sum' }));
  yield around([5, 2], tf.layers.timeDistributed({ layer: tf.layers.dense({ units: 3 }) }));
  yield around([5, 2], tf.layers.timeDistributed({ layer: tf.sequential({ layers: [tf.layers.dense({ units: 3, inputShape: [2] })] }) }));
  yield around([5, 2], tf.layers.rnn({ cell: [tf.layers.lstmCell({ units: 3 }), tf.layers.gruCell({ units: 2 })] }) as never);
  for (const name of MERGES) {
    const inputs = [tf.input({ shape: [4] }), tf.input({ shape: [4] })];
    const layer = (factories[name] as Factory)(name === 'dot' ? { axes: 1 } : {});
    yield tf.model({ inputs, outputs: layer.apply(inputs) as tensorflow.SymbolicTensor });
  }
}
