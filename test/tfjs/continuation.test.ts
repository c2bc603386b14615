/** Exact resume: k steps, save, n steps must equal k steps, restore elsewhere, n steps: bit by bit. */
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, test } from 'vitest';
import { loadModel, restoreModel, saveModel } from '../../src/tfjs/index.js';
import { freshDirectory } from '../helpers/directory.js';
import { openManager } from '../helpers/manager.js';
import { functionalModel, OPTIMIZERS, optimizerOf, predictions, sequentialModel, train, weightsOf } from '../helpers/tfjs.js';

const BEFORE = 7;
const AFTER = 9;

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe.each(Object.entries(OPTIMIZERS))('%s', (_, makeOptimizer) => {
  test.each([
    ['a Sequential', sequentialModel],
    ['a Sequential with a constraint', (lib: typeof tf, optimizer: tf.Optimizer) => sequentialModel(lib, optimizer, 'unitNorm')],
    ['a functional model', functionalModel],
  ])('continues %s exactly, in a model that was built anew', async (_kind, build) => {
    const manager = await openManager(freshDirectory());
    const model = build(tf, makeOptimizer(tf));
    await train(tf, model, 0, BEFORE);
    await saveModel(manager, model, { step: BEFORE, state: { next: BEFORE } });
    const atSave = { weights: weightsOf(model), optimizer: optimizerOf(model) };
    await train(tf, model, BEFORE, BEFORE + AFTER);

    const fresh = build(tf, makeOptimizer(tf));
    const restored = await restoreModel(manager, fresh);
    expect(restored).toMatchObject({ step: BEFORE, state: { next: BEFORE }, skipped: [], optimizerRestored: true });
    expect({ weights: weightsOf(fresh), optimizer: optimizerOf(fresh) }).toEqual(atSave);
    await train(tf, fresh, BEFORE, BEFORE + AFTER);
    expect(weightsOf(fresh)).toEqual(weightsOf(model));
    expect(optimizerOf(fresh)).toEqual(optimizerOf(model));
  });

  test('rolls a model back that has been trained further', async () => {
    const manager = await openManager(freshDirectory());
    const model = sequentialModel(tf, makeOptimizer(tf));
    await train(tf, model, 0, BEFORE);
    await saveModel(manager, model, { step: BEFORE });
    await train(tf, model, BEFORE, BEFORE + AFTER);
    const end = { weights: weightsOf(model), optimizer: optimizerOf(model) };
    await restoreModel(manager, model);
    await train(tf, model, BEFORE, BEFORE + AFTER);
    expect({ weights: weightsOf(model), optimizer: optimizerOf(model) }).toEqual(end);
  });

  test('comes back compiled and ready from loadModel', async () => {
    const directory = freshDirectory();
    const manager = await openManager(directory);
    const model = functionalModel(tf, makeOptimizer(tf));
    await train(tf, model, 0, BEFORE);
    await saveModel(manager, model, { step: BEFORE });
    await train(tf, model, BEFORE, BEFORE + AFTER);
    const loaded = await loadModel(directory);
    expect(loaded).toMatchObject({ step: BEFORE, compiled: true, optimizerRestored: true });
    await train(tf, loaded!.model, BEFORE, BEFORE + AFTER);
    expect(weightsOf(loaded!.model)).toEqual(weightsOf(model));
    expect(optimizerOf(loaded!.model)).toEqual(optimizerOf(model));
    expect(predictions(tf, loaded!.model)).toBe(predictions(tf, model));
  });

  test('starts from an optimizer that has not made a step', async () => {
    const manager = await openManager(freshDirectory());
    const model = functionalModel(tf, makeOptimizer(tf));
    await saveModel(manager, model, { step: 0 });
    const other = functionalModel(tf, makeOptimizer(tf));
    await train(tf, other, 0, 3);
    await restoreModel(manager, other);
    await train(tf, model, 0, 4);
    await train(tf, other, 0, 4);
    expect(weightsOf(other)).toEqual(weightsOf(model));
    expect(optimizerOf(other)).toEqual(optimizerOf(model));
  });
});

test.each<[string, tf.Optimizer, tf.Optimizer, object]>([
  ['SGD', tf.train.sgd(0.03), tf.train.sgd(1), {}],
  ['Momentum', tf.train.momentum(0.03, 0.8), tf.train.momentum(1, 0.1, true), { momentum: 0.8, useNesterov: false }],
])('the settings of the checkpoint replace those of the optimizer: %s', async (_, first, second, settings) => {
  const manager = await openManager(freshDirectory());
  const model = functionalModel(tf, first);
  await train(tf, model, 0, 3);
  (model.optimizer as unknown as { setLearningRate(rate: number): void }).setLearningRate(0.007);
  await saveModel(manager, model, { step: 3 });
  const other = functionalModel(tf, second);
  await restoreModel(manager, other);
  await train(tf, model, 3, 6);
  await train(tf, other, 3, 6);
  expect(optimizerOf(other)).toEqual(optimizerOf(model));
  expect(optimizerOf(other)).toMatchObject({ learningRate: 0.007, ...settings });
  expect(weightsOf(other)).toEqual(weightsOf(model));
});

test("without Adam's running products of beta training would differ: this is what tfjs itself restores", async () => {
  const model = functionalModel(tf, OPTIMIZERS['Adam']!(tf));
  await train(tf, model, 0, BEFORE);
  const other = functionalModel(tf, OPTIMIZERS['Adam']!(tf));
  other.setWeights(model.getWeights());
  await other.optimizer.setWeights(await model.optimizer.getWeights());
  await train(tf, model, BEFORE, BEFORE + AFTER);
  await train(tf, other, BEFORE, BEFORE + AFTER);
  expect(weightsOf(other)).not.toEqual(weightsOf(model));
});

test('a layer that was frozen after compiling: tfjs hands it to the optimizer until the model is compiled again', async () => {
  const manager = await openManager(freshDirectory());
  const build = () => {
    const model = functionalModel(tf, tf.train.adam(0.01));
    model.getLayer('left').trainable = false;
    return model;
  };
  const model = build();
  await train(tf, model, 0, 3);
  await saveModel(manager, model, { step: 3 });
  const fresh = build();
  await restoreModel(manager, fresh);
  await train(tf, model, 3, 6);
  await train(tf, fresh, 3, 6);
  expect(weightsOf(fresh)).toEqual(weightsOf(model));
  expect(optimizerOf(fresh)).toEqual(optimizerOf(model));
});

test('a training loop of the caller’s own, with an optimizer that the model does not know', async () => {
  const step = (model: tf.LayersModel, optimizer: tf.Optimizer, n: number) =>
    optimizer.minimize(
      () => {
        const x = tf.fill([4, 6], n / 10);
        return (model.apply(x, { training: true }) as tf.Tensor).square().mean().asScalar();
      },
      false,
      model.trainableWeights.map((weight) => weight.read() as tf.Variable),
    );
  const manager = await openManager(freshDirectory());
  const model = functionalModel(tf);
  const optimizer = tf.train.adam(0.01);
  for (let n = 0; n < 5; n++) step(model, optimizer, n);
  await saveModel(manager, model, { step: 5, optimizer });
  const other = functionalModel(tf);
  const otherOptimizer = tf.train.adam(0.5);
  await restoreModel(manager, other, 'latest', { optimizer: otherOptimizer });
  for (let n = 5; n < 9; n++) {
    step(model, optimizer, n);
    step(other, otherOptimizer, n);
  }
  expect(weightsOf(other)).toEqual(weightsOf(model));
});
