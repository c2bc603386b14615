/** Saving and restoring make no tensor that stays, and hold none: whatever happens. */
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, test } from 'vitest';
import { loadModel, restoreModel, saveModel } from '../../src/tfjs/index.js';
import { freshDirectory } from '../helpers/directory.js';
import { rejection } from '../helpers/errors.js';
import { openManager } from '../helpers/manager.js';
import { alive, functionalModel, OPTIMIZERS, optimizerOf, sequentialModel, train, weightsOf } from '../helpers/tfjs.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe.each(Object.entries(OPTIMIZERS))('%s', (_, makeOptimizer) => {
  test('10 saves and 10 restores leave tf.memory() as it was', async () => {
    const manager = await openManager(freshDirectory());
    const model = sequentialModel(tf, makeOptimizer(tf));
    await train(tf, model, 0, 2);
    const before = alive(tf);
    for (let step = 0; step < 10; step++) {
      await saveModel(manager, model, { step });
      expect(alive(tf)).toEqual(before);
      await restoreModel(manager, model);
      expect(alive(tf)).toEqual(before);
    }
  }, 120_000);
});

test('no tensor is held while a save is under way, so training may go on and weights may be disposed', async () => {
  const directory = freshDirectory();
  const manager = await openManager(directory);
  const model = sequentialModel(tf, 'adam');
  await train(tf, model, 0, 3);
  const atSave = { weights: weightsOf(model), optimizer: optimizerOf(model) };
  const before = alive(tf);
  const saving = saveModel(manager, model, { step: 3 });
  expect(alive(tf)).toEqual(before);
  await train(tf, model, 3, 8);
  model.setWeights(model.getWeights().map((weight) => tf.zerosLike(weight)));
  model.optimizer.dispose();
  model.dispose();
  await saving;
  const fresh = sequentialModel(tf, 'adam');
  await restoreModel(manager, fresh);
  expect({ weights: weightsOf(fresh), optimizer: optimizerOf(fresh) }).toEqual(atSave);
});

test('inside tf.tidy', async () => {
  const manager = await openManager(freshDirectory());
  const model = functionalModel(tf, 'adam');
  await train(tf, model, 0, 3);
  const atSave = weightsOf(model);
  const before = alive(tf);
  let saving: Promise<unknown> | undefined;
  tf.tidy(() => {
    saving = saveModel(manager, model, { step: 3 });
    return tf.scalar(1).square().dataSync()[0] as unknown as tf.Tensor;
  });
  await saving;
  expect(alive(tf)).toEqual(before);
  await restoreModel(manager, model);
  expect(weightsOf(model)).toEqual(atSave);
});

test('an aborted save, a failed one and a refused restore', async () => {
  const manager = await openManager(freshDirectory());
  const model = functionalModel(tf, 'adam');
  await train(tf, model, 0, 3);
  await saveModel(manager, model, { step: 3 });
  const other = functionalModel(tf, tf.train.sgd(1));
  const before = alive(tf);
  await rejection(saveModel(manager, model, { step: 4, signal: AbortSignal.abort() }), 'ERR_ABORTED');
  const controller = new AbortController();
  const saving = saveModel(manager, model, { step: 4, signal: controller.signal, onProgress: () => controller.abort() });
  controller.abort();
  await rejection(saving, 'ERR_ABORTED');
  await rejection(saveModel(manager, model, { step: -1 }), 'ERR_INVALID_ARGUMENT');
  await rejection(saveModel(manager, model, { step: 5, state: { bad: Number.NaN } }), 'ERR_INVALID_STATE');
  await rejection(restoreModel(manager, other), 'ERR_MODEL_MISMATCH');
  await rejection(restoreModel(manager, model, { step: 99 }), 'ERR_NOT_FOUND');
  expect(alive(tf)).toEqual(before);
});

test.each([
  ['Sequential', sequentialModel],
  ['functional model', functionalModel],
])('a loaded %s goes away with its dispose, a refused one at once', async (_, build) => {
  const manager = await openManager(freshDirectory());
  const model = build(tf, 'adam');
  await train(tf, model, 0, 3);
  await saveModel(manager, model, { step: 3 });
  const before = alive(tf);
  const loaded = await loadModel(manager);
  loaded!.model.dispose();
  expect(alive(tf)).toEqual(before);
  await rejection(loadModel(manager, 'latest', { compile: { optimizer: 'sgd', loss: 'meanSquaredError' } }), 'ERR_MODEL_MISMATCH');
  expect(alive(tf)).toEqual(before);
});
