/** A handler with a tfjs that knows nothing of holdfast: graph models, and layers models as tfjs hands them over. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, test } from 'vitest';
import { holdfastHandler, loadModel, saveModel } from '../../src/tfjs/index.js';
import { freshDirectory } from '../helpers/directory.js';
import { rejection } from '../helpers/errors.js';
import { collectWarnings } from '../helpers/experiment.js';
import { graphArtifacts } from '../helpers/graph-model.js';
import { openManager } from '../helpers/manager.js';
import { alive, functionalModel, OPTIMIZERS, optimizerOf, predictions, sequentialModel, train, weightsOf } from '../helpers/tfjs.js';
import { serveDirectory } from '../helpers/tfjs-server.js';
import { artifactsOf, writeStock } from '../helpers/tfjs-stock.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const WITH_OPTIMIZER = { includeOptimizer: true };
/** What tfjs itself keeps of an optimizer without loss. */
const EXACT = Object.entries(OPTIMIZERS).filter(([name]) => !name.startsWith('Adam'));

/** `warnings` once they have all arrived. */
async function arrived(warnings: Error[]): Promise<string[]> {
  await new Promise(setImmediate);
  return warnings.map(({ message }) => message);
}

describe('a layers model', () => {
  test.each(EXACT)('%s: saved and loaded by handlers, training goes on bit by bit, and nothing is said', async (_, makeOptimizer) => {
    const directory = freshDirectory();
    const warnings = collectWarnings();
    const model = sequentialModel(tf, makeOptimizer(tf));
    await train(tf, model, 0, 4);
    await model.save(holdfastHandler(directory), WITH_OPTIMIZER);
    const byHandler = await tf.loadLayersModel(holdfastHandler(directory));
    const byHoldfast = (await loadModel(directory))!;
    expect(byHoldfast).toMatchObject({ step: 4, optimizerRestored: true });
    for (const each of [model, byHandler, byHoldfast.model]) await train(tf, each, 4, 8);
    for (const each of [byHandler, byHoldfast.model]) {
      expect(weightsOf(each)).toEqual(weightsOf(model));
      expect(optimizerOf(each)).toEqual(optimizerOf(model));
    }
    expect(await arrived(warnings)).toEqual([]);
  });

  test('Adam is saved and loaded nearly, and both say so', async () => {
    const directory = freshDirectory();
    const model = sequentialModel(tf, 'adam');
    await train(tf, model, 0, 4);
    const warnings = collectWarnings();
    await model.save(holdfastHandler(directory), WITH_OPTIMIZER);
    expect(await arrived(warnings)).toEqual([expect.stringContaining('Adam is saved this way only nearly')]);
    const loaded = await tf.loadLayersModel(holdfastHandler(directory));
    expect(await arrived(warnings)).toEqual([expect.anything(), expect.stringContaining('only nearly')]);
    expect(loaded.optimizer.iterations).toBe(4);
    expect(weightsOf(loaded)).toEqual(weightsOf(model));
    const { accBeta1, accBeta2, ...rest } = optimizerOf(model);
    expect(optimizerOf(loaded)).toMatchObject(rest);
    const byHoldfast = (await loadModel(directory))!.model;
    for (const name of ['accBeta1', 'accBeta2']) {
      const [near, exact] = [byHoldfast, model].map(
        ({ optimizer }) => (optimizer as unknown as Record<string, tf.Variable>)[name]!.dataSync()[0]!,
      );
      expect(near).toBeCloseTo(exact!, 6);
    }
  });

  test('Adamax: without registerHoldfast the model comes uncompiled rather than with a new optimizer', async () => {
    const manager = await openManager(freshDirectory());
    const model = sequentialModel(tf, OPTIMIZERS['Adamax']!(tf));
    await train(tf, model, 0, 4);
    await saveModel(manager, model, { step: 4 });
    const warnings = collectWarnings();
    const loaded = await tf.loadLayersModel(holdfastHandler(manager));
    expect(loaded.optimizer).toBeUndefined();
    expect(weightsOf(loaded)).toEqual(weightsOf(model));
    expect(await arrived(warnings)).toEqual([expect.stringContaining('not at all')]);
  });

  test('what saveModel wrote comes back, and no tensor stays', async () => {
    const manager = await openManager(freshDirectory());
    const model = functionalModel(tf, OPTIMIZERS['RMSProp, centered']!(tf));
    await train(tf, model, 0, 4);
    model.setUserDefinedMetadata({ a: 1 });
    await saveModel(manager, model, { step: 4 });
    const before = alive(tf);
    const loaded = await tf.loadLayersModel(holdfastHandler(manager));
    expect(loaded.getUserDefinedMetadata()).toEqual({ a: 1 });
    for (const each of [model, loaded]) await train(tf, each, 4, 8);
    expect(weightsOf(loaded)).toEqual(weightsOf(model));
    loaded.optimizer.dispose();
    loaded.dispose();
    expect(alive(tf)).toEqual(before);
  });

  test('without an optimizer it goes on to the next step each time, and stock tfjs reads it', async () => {
    const directory = freshDirectory();
    const model = sequentialModel(tf);
    await model.save(holdfastHandler(directory));
    const { step, path: checkpoint } = (await model.save(holdfastHandler(directory))) as unknown as { step: number; path: string };
    expect(step).toBe(1);
    const stock = await tf.loadLayersModel(`${await serveDirectory(checkpoint)}/model.json`);
    expect(weightsOf(stock)).toEqual(weightsOf(model));
    expect((await tf.loadLayersModel(holdfastHandler(directory))).getUserDefinedMetadata()).toBeUndefined();
  });
});

/** y for x = [[1, 2, 3]]. */
function outputs(model: tf.GraphModel): number[] {
  return tf.tidy(() => [...(model.predict(tf.tensor2d([[1, 2, 3]])) as tf.Tensor).dataSync()]);
}

describe.each([
  ['a graph model', false],
  ['a quantized graph model', true],
])('%s', (_, quantized) => {
  test('goes from a stock directory to a checkpoint and back, with the same predictions', async () => {
    const base = freshDirectory();
    const stock = writeStock(path.join(base, 'stock'), graphArtifacts(quantized), 10);
    const before = alive(tf);
    const first = await tf.loadGraphModel(holdfastHandler(stock));
    expect(outputs(first)).toEqual([21, 34]);
    const directory = path.join(base, 'checkpoints');
    const result = (await first.save(holdfastHandler(directory, { step: 9 }))) as unknown as { path: string };
    const second = await tf.loadGraphModel(holdfastHandler(directory));
    expect(outputs(second)).toEqual(outputs(first));
    expect(second.metadata).toEqual({ labels: ['a', 'b'] });
    expect(second.modelSignature).toEqual(graphArtifacts().signature);
    // The artifacts of a loaded model are what it is saved from: again to us, or to a stock handler.
    const third = await tf.loadGraphModel(tf.io.fromMemory(await artifactsOf(second)));
    expect(outputs(third)).toEqual(outputs(first));
    const overHttp = await tf.loadGraphModel(`${await serveDirectory(result.path)}/model.json`);
    expect(outputs(overHttp)).toEqual(outputs(first));
    for (const model of [first, second, third, overHttp]) model.dispose();
    expect(alive(tf)).toEqual(before);
  });
});

test('a graph model has no layers: loadModel says what to use', async () => {
  const directory = freshDirectory();
  await (await tf.loadGraphModel(tf.io.fromMemory(graphArtifacts()))).save(holdfastHandler(directory));
  expect((await rejection(loadModel(directory), 'ERR_MODEL')).message).toContain('tf.loadGraphModel');
  expect((await rejection(loadModel(writeStock(path.join(freshDirectory(), 'stock'), graphArtifacts())), 'ERR_MODEL')).message).toContain(
    'tf.loadGraphModel',
  );
});

describe('what cannot be saved is refused, and nothing is left', () => {
  test.each<[string, (artifacts: tf.io.ModelArtifacts) => tf.io.ModelArtifacts]>([
    ['too few bytes', (given) => ({ ...given, weightData: (given.weightData as ArrayBuffer).slice(4) })],
    ['too many bytes', (given) => ({ ...given, weightData: new ArrayBuffer(100) })],
    ['a topology that is not JSON', (given) => ({ ...given, modelTopology: new ArrayBuffer(8) })],
    ['no weights', ({ weightData: _, ...given }) => given],
    ['an unknown dtype', (given) => ({ ...given, weightSpecs: [{ name: 'W', shape: [1], dtype: 'float64' as never }] })],
    ['a shape that is none', (given) => ({ ...given, weightSpecs: [{ name: 'W', shape: [-1], dtype: 'float32' }] })],
  ])('%s', async (_, change) => {
    const directory = freshDirectory();
    await rejection(holdfastHandler(directory).save!(change(graphArtifacts())), 'ERR_MODEL');
    expect(readdirSync(directory)).toEqual([]);
  });
});

test('weights in several pieces are put together, across their borders', async () => {
  const directory = freshDirectory();
  const artifacts = graphArtifacts();
  const bytes = artifacts.weightData as ArrayBuffer;
  const pieces = [bytes.slice(0, 5), bytes.slice(5, 7), bytes.slice(7, 27), bytes.slice(27)];
  await holdfastHandler(directory).save!({ ...artifacts, weightData: pieces });
  const loaded = await holdfastHandler(directory).load!();
  expect(Buffer.from(loaded.weightData as ArrayBuffer)).toEqual(Buffer.from(bytes));
});

test('a model of every dtype comes back through tfjs: strings, complex64, bool and int32', async () => {
  const directory = freshDirectory();
  const text = Buffer.from([...[2, 0, 0, 0], ...Buffer.from('ü'), ...[0, 0, 0, 0]]);
  const parts: [tf.io.WeightsManifestEntry, Buffer][] = [
    [{ name: 'text', dtype: 'string', shape: [2] }, text],
    [{ name: 'flags', dtype: 'bool', shape: [3] }, Buffer.from([1, 0, 1])],
    [{ name: 'none', dtype: 'float32', shape: [0, 4] }, Buffer.alloc(0)],
    [{ name: 'whole', dtype: 'int32', shape: [] }, Buffer.from(Int32Array.of(-5).buffer)],
    [{ name: 'complex', dtype: 'complex64', shape: [1] }, Buffer.from(Float32Array.of(1.5, -2).buffer)],
  ];
  const artifacts = {
    ...graphArtifacts(),
    weightSpecs: parts.map(([spec]) => spec),
    weightData: new Uint8Array(Buffer.concat(parts.map(([, bytes]) => bytes))).buffer,
  };
  for (const format of ['layers-model', 'graph-model']) {
    await holdfastHandler(directory).save!({ ...artifacts, format });
    const { weightData, weightSpecs } = await holdfastHandler(directory).load!();
    const decoded = tf.io.decodeWeights(weightData!, weightSpecs!);
    const values = Object.fromEntries(
      Object.entries(decoded).map(([name, tensor]) => [name, [tensor.dtype, tensor.shape, [...tensor.dataSync()]]]),
    );
    tf.dispose(decoded);
    expect(values).toEqual({
      text: ['string', [2], ['ü', '']],
      flags: ['bool', [3], [1, 0, 1]],
      none: ['float32', [0, 4], []],
      whole: ['int32', [], [-5]],
      complex: ['complex64', [1], [1.5, -2]],
    });
  }
});

test('a checkpoint that something else wrote, without a list of weights: by dtype, half precision too', async () => {
  const manager = await openManager(freshDirectory());
  const { weightSpecs: _, weightData: __, ...model } = graphArtifacts();
  const tensors = {
    // 0.5, 1, 1.5, 2, 2.5 and 3 as half-precision numbers.
    W: { dtype: 'F16' as const, shape: [3, 2], data: Uint16Array.of(0x3800, 0x3c00, 0x3e00, 0x4000, 0x4100, 0x4200) },
    b: { dtype: 'F32' as const, shape: [2], data: Float32Array.of(10, 20) },
  };
  const attachments = [{ name: 'model.json', data: JSON.stringify(model) }];
  await manager.save({ step: 1, tensors, attachments, contents: 'weights' });
  expect(outputs(await tf.loadGraphModel(holdfastHandler(manager)))).toEqual([21, 34]);
  const wide = { ...tensors, W: { dtype: 'F64' as const, shape: [3, 2], data: new Float64Array(6) } };
  await manager.save({ step: 2, tensors: wide, attachments, contents: 'weights' });
  expect((await rejection(holdfastHandler(manager).load!(), 'ERR_MODEL')).tensors).toEqual(['W']);
  const listed = { ...model, weightsManifest: [{ paths: [], weights: graphArtifacts().weightSpecs }] };
  await manager.save({ step: 4, tensors: wide, attachments: [{ name: 'model.json', data: JSON.stringify(listed) }], contents: 'weights' });
  expect((await rejection(holdfastHandler(manager).load!(), 'ERR_MODEL')).message).toContain('48 bytes');
  await manager.save({ step: 3, tensors, contents: 'weights' });
  expect((await rejection(holdfastHandler(manager).load!(), 'ERR_MODEL')).message).toContain('no model.json');
});

test('model.json of a checkpoint that a handler wrote carries no trainingConfig', async () => {
  const directory = freshDirectory();
  const model = sequentialModel(tf, 'sgd');
  const { path: checkpoint } = (await model.save(holdfastHandler(directory), WITH_OPTIMIZER)) as unknown as { path: string };
  const document = JSON.parse(readFileSync(path.join(checkpoint, 'model.json'), 'utf8'));
  expect(document).not.toHaveProperty('trainingConfig');
  expect(predictions(tf, await tf.loadLayersModel(holdfastHandler(directory)))).toBe(predictions(tf, model));
});
