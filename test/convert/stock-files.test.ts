/** What stock files can hold besides float32 weights: quantized ones, strings, complex numbers, graph models. To the bit as tfjs decodes them. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, test } from 'vitest';
import { convert } from '../../src/index.js';
import { bareFile } from '../helpers/bare.js';
import { freshDirectory } from '../helpers/directory.js';
import { rejection } from '../helpers/errors.js';
import { randomBytes } from '../helpers/random.js';
import { checkpointOf, randomTensor, stockDirectory, stockHandler, tensorsOf } from './fixtures.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

/** y = x · w + b, as the converter of TensorFlow writes graphs. */
const GRAPH = {
  format: 'graph-model',
  generatedBy: '2.16.1',
  convertedBy: 'TensorFlow.js Converter v4.22.0',
  signature: { inputs: { x: { name: 'x:0', dtype: 'DT_FLOAT', tensorShape: {} } }, outputs: { y: { name: 'y:0' } } },
  userDefinedMetadata: { labels: ['cat', 'dog'] },
  modelTopology: {
    node: [
      { name: 'x', op: 'Placeholder', attr: { dtype: { type: 'DT_FLOAT' }, shape: { shape: { dim: [{ size: '-1' }, { size: '3' }] } } } },
      { name: 'w', op: 'Const', attr: { dtype: { type: 'DT_FLOAT' }, value: { tensor: { dtype: 'DT_FLOAT', tensorShape: {} } } } },
      { name: 'b', op: 'Const', attr: { dtype: { type: 'DT_FLOAT' }, value: { tensor: { dtype: 'DT_FLOAT', tensorShape: {} } } } },
      { name: 'm', op: 'MatMul', input: ['x', 'w'], attr: { T: { type: 'DT_FLOAT' } } },
      { name: 'y', op: 'AddV2', input: ['m', 'b'], attr: { T: { type: 'DT_FLOAT' } } },
    ],
    versions: { producer: 1087 },
  },
};

const LAYERS = { format: 'layers-model', modelTopology: { class_name: 'Sequential', config: { name: 's', layers: [] } } };

const SPECS = [
  { name: 'w', dtype: 'float32', shape: [3, 2], quantization: { dtype: 'uint8', min: -1.3, scale: 0.017, original_dtype: 'float32' } },
  { name: 'half', dtype: 'float32', shape: [8], quantization: { dtype: 'float16', original_dtype: 'float32' } },
  { name: 'wide', dtype: 'float32', shape: [5], quantization: { dtype: 'uint16', min: -3, scale: 1.1e-4 } },
  { name: 'ints', dtype: 'int32', shape: [4], quantization: { dtype: 'uint8', min: -7, scale: 0.5 } },
  { name: 'ints16', dtype: 'int32', shape: [3], quantization: { dtype: 'uint16', min: 1e5, scale: 31 } },
  { name: 'complex', dtype: 'complex64', shape: [2, 1] },
  { name: 'bool', dtype: 'bool', shape: [3] },
  { name: 'nothing', dtype: 'string', shape: [0] },
  { name: 'text', dtype: 'string', shape: [2, 2] },
  { name: 'scalar', dtype: 'int32', shape: [] },
];

function text(...strings: string[]): Buffer {
  return Buffer.concat(
    strings.map((each) => {
      const bytes = Buffer.from(each);
      const length = Buffer.alloc(4);
      length.writeUInt32LE(bytes.length);
      return Buffer.concat([length, bytes]);
    }),
  );
}

/** Every half that is a NaN, an infinity, a zero or subnormal is there. */
const HALVES = Buffer.from(Uint16Array.of(0x7c00, 0xfc00, 0x0001, 0x83ff, 0x8000, 0x7bff, 0x3555, 0x7e01).buffer);
const STRINGS = text('', 'ü', 'a\0b', '日本語 🐚'.repeat(50));
const DATA = Buffer.concat([
  Buffer.from(randomBytes(6, 1)),
  HALVES,
  Buffer.from(randomBytes(10 + 4 + 6, 2)),
  Buffer.from(Float32Array.of(1, -2, Number.NaN, 4).buffer),
  Buffer.from([1, 0, 1]),
  STRINGS,
  Buffer.from(Int32Array.of(-5).buffer),
]);

describe('a stock directory of all that there is', () => {
  const source = () => stockDirectory(LAYERS, SPECS, DATA);

  test('becomes a checkpoint of what tfjs itself decodes', async () => {
    const target = freshDirectory();
    const report = await convert(source(), target);
    expect(report).toMatchObject({ tensors: SPECS.length, warnings: [] });
    const { tensors } = await tensorsOf(target);
    const decoded = tf.io.decodeWeights(Uint8Array.from(DATA).buffer, SPECS as never);
    for (const { name, dtype, shape } of SPECS) {
      const { bytes, shape: stored } = tensors[name]!;
      if (dtype === 'string') {
        expect(bytes.equals(name === 'text' ? STRINGS : Buffer.alloc(0)), name).toBe(true);
        continue;
      }
      const data = decoded[name]!.dataSync();
      expect([stored, bytes.toString('hex')], name).toEqual([
        shape,
        Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('hex'),
      ]);
    }
    const state = JSON.parse(readFileSync(path.join(report.target, 'state.json'), 'utf8')).extensions.tfjs;
    expect(state.strings).toEqual([
      { name: 'nothing', shape: [0] },
      { name: 'text', shape: [2, 2] },
    ]);
  });

  test.each(['x.safetensors', 'checkpoint'])('through %s and back into tfjs: the same values, strings among them', async (between) => {
    const middle = path.join(freshDirectory(), between);
    const from = source();
    await convert(from, middle);
    const target = path.join(freshDirectory(), 'web');
    await convert(middle, target, { to: 'tfjs', ...(between === 'checkpoint' ? {} : { topology: from }) });
    const a = await stockHandler(from, tf).load();
    const b = await stockHandler(target, tf).load();
    const [before, after] = [a, b].map(({ weightData, weightSpecs }) => tf.io.decodeWeights(weightData as ArrayBuffer, weightSpecs!));
    expect(Object.keys(after!).sort()).toEqual(Object.keys(before!).sort());
    for (const [name, tensor] of Object.entries(before!)) {
      expect(after![name]!.shape, name).toEqual(tensor.shape);
      expect(after![name]!.dataSync(), name).toEqual(tensor.dataSync());
    }
  });

  test('NumPy gets the bytes of strings, and a warning says so', async () => {
    const target = path.join(freshDirectory(), 'x.npz');
    expect((await convert(source(), target)).warnings).toEqual([expect.stringContaining('"text"')]);
    const back = path.join(freshDirectory(), 'web');
    await convert(target, back, { to: 'tfjs', topology: source() });
    const { weightData, weightSpecs } = await stockHandler(back, tf).load();
    expect(tf.io.decodeWeights(weightData as ArrayBuffer, weightSpecs!)['text']!.dataSync()[1]).toBe('ü');
  });
});

test('a graph model predicts the same after a way through a checkpoint, and keeps its signature and metadata', async () => {
  const weights = Float32Array.of(1, 2, 3, 4, 5, 6, 0.5, -0.5);
  const specs = [
    { name: 'w', dtype: 'float32', shape: [3, 2] },
    { name: 'b', dtype: 'float32', shape: [2] },
  ];
  const source = stockDirectory(GRAPH, specs, new Uint8Array(weights.buffer));
  const checkpoints = freshDirectory();
  const { target } = await convert(source, checkpoints);
  const document = JSON.parse(readFileSync(path.join(target, 'model.json'), 'utf8'));
  expect(document).toMatchObject({ ...GRAPH });
  expect(document.weightsManifest[0].weights[0]).toMatchObject({ dtype: 'bool', group: 'optimizer' });
  const web = path.join(freshDirectory(), 'web');
  await convert(checkpoints, web, { to: 'tfjs' });
  const predict = async (directory: string) => {
    const model = await tf.loadGraphModel(stockHandler(directory, tf));
    return Array.from((model.predict(tf.tensor2d([[1, 10, 100]])) as tf.Tensor).dataSync());
  };
  const expected = await predict(source);
  expect(expected).toEqual([531.5, 641.5]);
  expect(await predict(web)).toEqual(expected);
  // Stock tfjs reads the checkpoint's own directory, too.
  expect(await predict(target)).toEqual(expected);
  expect(JSON.parse(readFileSync(path.join(web, 'model.json'), 'utf8'))).toMatchObject({
    signature: GRAPH.signature,
    userDefinedMetadata: GRAPH.userDefinedMetadata,
  });
});

describe('a topology for plain tensors', () => {
  const F32 = (shape: number[]) => randomTensor('F32', shape, 3);
  const topology = () =>
    stockDirectory(
      GRAPH,
      [
        { name: 'w', dtype: 'float32', shape: [3, 2] },
        { name: 'b', dtype: 'float32', shape: [2] },
      ],
      new Uint8Array(32),
    );

  test('is needed, and the error says so', async () => {
    const source = await checkpointOf({ w: F32([3, 2]), b: F32([2]) });
    const error = await rejection(convert(source, path.join(freshDirectory(), 'web'), { to: 'tfjs' }), 'ERR_CONVERT');
    expect(error.message).toContain('--topology');
  });

  test('gives names, shapes and dtypes that are checked', async () => {
    const options = { to: 'tfjs', topology: path.join(topology(), 'model.json') } as const;
    const target = () => path.join(freshDirectory(), 'web');
    await convert(await checkpointOf({ w: F32([3, 2]), b: F32([2]) }), target(), options);
    const wrong = await checkpointOf({ 'model/w': F32([3, 2]), b: F32([3]), more: F32([1]) });
    const { message, tensors } = await rejection(convert(wrong, target(), options), 'ERR_MODEL_MISMATCH');
    expect(message).toContain('missing: "w", perhaps renamed from "model/w"');
    expect(message).toContain('wrong: "b" is F32 [3], and F32 [2] is expected');
    expect(message).toContain('extra: "more"');
    expect(tensors).toEqual(['w', 'b', 'model/w', 'more']);
    await rejection(
      convert(await checkpointOf({ w: randomTensor('I32', [3, 2], 1), b: F32([2]) }), target(), options),
      'ERR_MODEL_MISMATCH',
    );
    const unknown = await checkpointOf({ w: randomTensor('I64', [3, 2], 1), b: F32([2]) });
    expect((await rejection(convert(unknown, target(), options), 'ERR_CONVERT')).message).toContain('no type for I64');
  });

  test('renamed and of other precision', async () => {
    const source = bareFile({
      'net.weight': { dtype: 'F64', shape: [3, 2], data: new Float64Array(6).fill(1 / 3) },
      'net.bias': { dtype: 'F16', shape: [2], data: Uint16Array.of(0x3c00, 0xc000) },
    });
    const target = path.join(freshDirectory(), 'web');
    const map = { 'net.weight': 'w', 'net.bias': 'b' };
    const report = await convert(source, target, { to: 'tfjs', dtype: 'f32', map, topology: topology() });
    expect(report.renamed).toEqual([
      { from: 'net.weight', to: 'w' },
      { from: 'net.bias', to: 'b' },
    ]);
    const model = await tf.loadGraphModel(stockHandler(target, tf));
    const [y] = (model.predict(tf.tensor2d([[1, 1, 1]])) as tf.Tensor).dataSync();
    expect(y).toBeCloseTo(2, 6);
  });

  test('of bytes that are no strings', async () => {
    const model = stockDirectory(GRAPH, [{ name: 's', dtype: 'string', shape: [2] }], text('a', 'b'));
    for (const data of [text('a'), text('a', 'b', 'c'), Buffer.concat([text('a'), Buffer.from([9, 0, 0, 0, 65])])]) {
      const source = bareFile({ s: { dtype: 'U8', shape: [data.length], data } });
      const target = path.join(freshDirectory(), 'web');
      await rejection(convert(source, target, { to: 'tfjs', topology: model }), 'ERR_FORMAT');
    }
    const data = text('', 'xyz');
    const fine = bareFile({ s: { dtype: 'U8', shape: [data.length], data } });
    expect(await convert(fine, path.join(freshDirectory(), 'web'), { to: 'tfjs', topology: model })).toMatchObject({ tensors: 1 });
  });
});
