/** Models between checkpoints and stock TensorFlow.js: the same predictions, and training that goes on as far as tfjs can. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, test } from 'vitest';
import { convert } from '../../src/index.js';
import { loadModel, saveModel } from '../../src/tfjs/index.js';
import { freshDirectory } from '../helpers/directory.js';
import { rejection } from '../helpers/errors.js';
import { openManager } from '../helpers/manager.js';
import { functionalModel, OPTIMIZERS, optimizerOf, predictions, sequentialModel, train, weightsOf } from '../helpers/tfjs.js';
import { saveStock, stockHandler, tensorsOf } from './fixtures.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

/** A trained model in a checkpoint, and the directory of checkpoints that it is in. */
async function saved(build: typeof functionalModel, optimizer: tf.Optimizer | string | undefined, steps = 4) {
  const model = build(tf, optimizer);
  model.setUserDefinedMetadata({ labels: ['a', 'b', 'c'] });
  if (optimizer !== undefined) await train(tf, model, 0, steps);
  const directory = freshDirectory();
  const manager = await openManager(directory);
  await saveModel(manager, model, { step: steps, epoch: 2 });
  return { model, directory };
}

async function stockModel(directory: string): Promise<tf.LayersModel> {
  return tf.loadLayersModel(stockHandler(directory, tf));
}

test('a model whose loss is a function goes to stock tfjs uncompiled, which cannot compile it, and that is said', async () => {
  const directory = freshDirectory();
  const model = sequentialModel(tf);
  const steep = (truth: tf.Tensor, output: tf.Tensor) => tf.mean(tf.pow(tf.sub(truth, output), 4)) as tf.Scalar;
  model.compile({ optimizer: 'adam', loss: steep });
  await train(tf, model, 0, 1);
  await saveModel(await openManager(directory), model, { step: 1 });
  const target = path.join(freshDirectory(), 'web');
  const { warnings } = await convert(directory, target, { to: 'tfjs' });
  expect(warnings).toEqual([expect.stringContaining('a function (steep)')]);
  const stock = await stockModel(target);
  expect(stock.optimizer).toBeUndefined();
  expect(weightsOf(stock)).toEqual(weightsOf(model));
});

const BUILDS = [
  ['a Sequential', sequentialModel],
  ['a functional model', functionalModel],
] as const;

describe.each(BUILDS)('%s', (_, build) => {
  test.each(Object.entries(OPTIMIZERS))('with %s from a checkpoint to stock tfjs and on', async (name, optimizer) => {
    const { model, directory } = await saved(build, optimizer(tf));
    const target = path.join(freshDirectory(), 'web');
    const report = await convert(directory, target, { to: 'tfjs' });
    const stock = await stockModel(target);
    expect(weightsOf(stock)).toEqual(weightsOf(model));
    expect(predictions(tf, stock)).toBe(predictions(tf, model));
    expect(stock.getUserDefinedMetadata()).toEqual({ labels: ['a', 'b', 'c'] });
    if (name === 'Adamax') {
      expect(report.warnings).toEqual([expect.stringContaining('Adamax')]);
      return;
    }
    const { accBeta1: _1, accBeta2: _2, ...expected } = optimizerOf(model);
    expect(optimizerOf(stock)).toMatchObject(expected);
    expect(report.warnings).toEqual(name === 'Adam' ? [expect.stringContaining('beta1 and beta2 of Adam')] : []);
    if (name === 'Adam') return;
    await train(tf, model, 4, 6);
    await train(tf, stock, 4, 6);
    expect(weightsOf(stock)).toEqual(weightsOf(model));
  });

  test.each(Object.entries(OPTIMIZERS).filter(([name]) => name !== 'Adamax'))(
    'with %s from stock tfjs to a checkpoint: as stock tfjs itself would load it',
    async (name, optimizer) => {
      const model = build(tf, optimizer(tf));
      await train(tf, model, 0, 4);
      const source = await saveStock(model, tf, 3);
      const target = freshDirectory();
      const report = await convert(source, target);
      expect(report).toMatchObject({ from: 'tfjs', to: 'checkpoint', target: path.join(target, 'checkpoint_step00000004') });
      expect(report.warnings).toEqual(name === 'Adam' ? [expect.stringContaining('running products')] : []);
      const loaded = await loadModel(target, 'latest', { tf });
      const stock = await stockModel(source);
      expect(loaded).toMatchObject({ compiled: true, optimizerRestored: true, step: 4 });
      expect(weightsOf(loaded!.model)).toEqual(weightsOf(model));
      expect(optimizerOf(loaded!.model)).toEqual(optimizerOf(stock));
      await train(tf, stock, 4, 6);
      await train(tf, loaded!.model, 4, 6);
      expect(weightsOf(loaded!.model)).toEqual(weightsOf(stock));
    },
  );
});

test('a checkpoint that went to stock tfjs and back has the same bytes, the accumulated betas aside', async () => {
  const { directory } = await saved(sequentialModel, 'adam');
  const web = path.join(freshDirectory(), 'web');
  const back = freshDirectory();
  await convert(directory, web, { to: 'tfjs', shardBytes: 100 });
  await convert(web, back);
  const before = await tensorsOf(directory);
  const after = await tensorsOf(back);
  expect(after.tensors).toEqual(before.tensors);
  const { accBeta1, accBeta2, ...slots } = after.optimizer;
  expect(before.optimizer).toMatchObject(slots);
  expect(accBeta1!.bytes.readFloatLE()).toBeCloseTo(0.9 ** 5, 6);
  expect(accBeta2!.bytes.readFloatLE()).toBeCloseTo(0.999 ** 5, 6);
});

test('shards are equally long but for the last, and 4 MiB unless asked otherwise', async () => {
  const { model, directory } = await saved(sequentialModel, 'adam');
  const target = path.join(freshDirectory(), 'web');
  await convert(directory, target, { to: 'tfjs', shardBytes: 100 });
  const sizes = readdirSync(target)
    .filter((name) => name.endsWith('.bin'))
    .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
    .map((name) => statSync(path.join(target, name)).size);
  expect(sizes.length).toBeGreaterThan(3);
  expect(sizes.slice(0, -1).every((size) => size === 100)).toBe(true);
  expect(weightsOf(await stockModel(target))).toEqual(weightsOf(model));
  const whole = path.join(freshDirectory(), 'web');
  await convert(directory, whole, { to: 'tfjs' });
  expect(readdirSync(whole).sort()).toEqual(['group1-shard1of1.bin', 'model.json']);
});

test('without the optimizer: weights only', async () => {
  const { model, directory } = await saved(sequentialModel, 'adam');
  const web = path.join(freshDirectory(), 'web');
  await convert(directory, web, { to: 'tfjs', optimizer: false });
  const specs = JSON.parse(readFileSync(path.join(web, 'model.json'), 'utf8')).weightsManifest[0].weights;
  expect(specs.map(({ name }: { name: string }) => name)).toEqual(model.weights.map((weight) => weight.originalName));
  const back = freshDirectory();
  await convert(web, back, { optimizer: false });
  expect((await tensorsOf(back)).optimizer).toEqual({});
  await rejection(convert(web, path.join(freshDirectory(), 'x'), { optimizer: true }), 'ERR_CONVERT');
});

test('a model that was never compiled', async () => {
  const { model, directory } = await saved(functionalModel, undefined, 0);
  const web = path.join(freshDirectory(), 'web');
  expect((await convert(directory, web, { to: 'tfjs' })).warnings).toEqual([]);
  const stock = await stockModel(web);
  expect(predictions(tf, stock)).toBe(predictions(tf, model));
  expect(stock.optimizer ?? null).toBeNull();
});

test('as halves: stock tfjs reads float16, and what comes back is what was rounded', async () => {
  const { directory } = await saved(sequentialModel, 'sgd');
  const web = path.join(freshDirectory(), 'web');
  const half = path.join(freshDirectory(), 'half.safetensors');
  expect((await convert(directory, web, { to: 'tfjs', dtype: 'f16' })).dtype).toBe('f16');
  await convert(directory, half, { dtype: 'f16' });
  const wide = freshDirectory();
  await convert(half, wide, { dtype: 'f32' });
  const expected = (await tensorsOf(wide)).tensors;
  for (const [name, hex] of Object.entries(weightsOf(await stockModel(web)))) expect(expected[name]!.bytes.toString('hex'), name).toBe(hex);
  expect(await rejection(convert(directory, freshDirectory(), { to: 'checkpoint', dtype: 'f16' }), 'ERR_CONVERT')).toMatchObject({
    message: expect.stringContaining('float32'),
  });
  await rejection(convert(directory, path.join(freshDirectory(), 'w'), { to: 'tfjs', dtype: 'bf16' }), 'ERR_CONVERT');
});

test('a second model of the same names in one process, whose variables got other names', async () => {
  const first = sequentialModel(tf, 'adam');
  await train(tf, first, 0, 1);
  const { variables } = { variables: first.weights.map((weight) => (weight as unknown as { name: string }).name) };
  expect(variables.some((name) => /_\d+$/.test(name))).toBe(true);
  const target = freshDirectory();
  await convert(await saveStock(first, tf), target);
  expect(Object.keys((await tensorsOf(target)).optimizer)).toContain('first/kernel/m');
});
