/** What a model's run goes on from beside its tensors, and what a manager for weights makes of a model. */
import { readdirSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, test } from 'vitest';
import { keep } from '../../src/policy/keep.js';
import { loadModel, restoreModel, saveModel, saveModelAsync } from '../../src/tfjs/index.js';
import { freshDirectory } from '../helpers/directory.js';
import { rejection } from '../helpers/errors.js';
import { openManager } from '../helpers/manager.js';
import { functionalModel, train, weightsOf } from '../helpers/tfjs.js';

const RUN = {
  scheduler: { name: 'step', lr: 0.00025, last_epoch: 7 },
  rng: { alea: [0.1, 0.2, 0.3, 1] },
  dataPosition: { epoch: 3, batch: 117, order: [3, 1, 2] },
  config: { batchSize: 32, name: 'ü' },
};

beforeAll(async () => {
  await tf.setBackend('cpu');
});

/** Each waits until the checkpoint is durable. */
const WAYS: [string, (...args: Parameters<typeof saveModel>) => Promise<unknown>][] = [
  ['saveModel', saveModel],
  ['saveModelAsync', async (...args) => (await saveModelAsync(...args)).committed],
];

describe.each(WAYS)('%s', (_, save) => {
  test('everything comes back as it was at the call, with where to go on', async () => {
    const directory = freshDirectory();
    const manager = await openManager(directory, { keep: keep.last(1) });
    const model = functionalModel(tf, 'adam');
    const given = structuredClone(RUN);
    const before = Date.now();
    const saving = save(manager, model, { step: 70, epoch: 7, metrics: { loss: Number.NaN }, ...given, state: 'a', tags: ['release'] });
    given.rng.alea.push(2);
    given.scheduler.lr = 1;
    await saving;
    const expected = { step: 70, epoch: 7, initialEpoch: 7, metrics: { loss: Number.NaN }, ...RUN, state: 'a' };
    for (const restored of [await restoreModel(manager, functionalModel(tf, 'adam')), await loadModel(directory)]) {
      expect(restored).toMatchObject(expected);
      expect(restored!.createdAt.getTime()).toBeGreaterThanOrEqual(before);
      expect(restored!.software).toMatchObject({ holdfast: expect.any(String), 'tfjs-layers': expect.any(String) });
    }
    await saveModel(manager, model, { step: 71 });
    expect((await restoreModel(manager, model, 'release'))?.step).toBe(70);
  });

  test('what was not given is undefined, and initialEpoch 0', async () => {
    const manager = await openManager(freshDirectory());
    const model = functionalModel(tf, 'adam');
    await save(manager, model, { step: 1, rng: null });
    const restored = await restoreModel(manager, model);
    const nothing = { scheduler: undefined, dataPosition: undefined, config: undefined, state: undefined };
    expect(restored).toMatchObject({ ...nothing, epoch: undefined, initialEpoch: 0, rng: null });
  });

  test.each(Object.keys(RUN))('%s is refused where JSON would alter it, with its path', async (key) => {
    const directory = freshDirectory();
    const manager = await openManager(directory);
    const request = { step: 1, [key]: { a: [1, -0] } };
    expect((await rejection(save(manager, functionalModel(tf), request), 'ERR_INVALID_STATE')).path).toBe(`${key}.a[1]`);
    expect(readdirSync(directory).filter((name) => name.startsWith('checkpoint'))).toEqual([]);
  });

  test('a tag that cannot be one is refused', async () => {
    const manager = await openManager(freshDirectory());
    await rejection(save(manager, functionalModel(tf), { step: 1, tags: ['a/b'] }), 'ERR_INVALID_NAME');
  });

  test('a manager for weights leaves the optimizer out, unless it is asked for', async () => {
    const manager = await openManager(freshDirectory(), { contents: 'weights', keep: keep.all() });
    const model = functionalModel(tf, 'adam');
    await train(tf, model, 0, 2);
    await save(manager, model, { step: 1 });
    await save(manager, model, { step: 2, includeOptimizer: undefined, optimizer: model.optimizer });
    for (const step of [1, 2]) {
      const { optimizer, info } = (await manager.restore({ step }))!;
      expect([optimizer.size, info.contents]).toEqual([0, 'weights']);
    }
    await rejection(manager.restore(), 'ERR_WEIGHTS_ONLY');
    const fresh = functionalModel(tf, 'adam');
    await rejection(restoreModel(manager, fresh), 'ERR_MODEL_MISMATCH');
    expect(await restoreModel(manager, fresh, 'latest', { includeOptimizer: false })).toMatchObject({ step: 2, optimizerRestored: false });
    expect(weightsOf(fresh)).toEqual(weightsOf(model));
    await save(manager, model, { step: 3, includeOptimizer: true });
    expect(await restoreModel(manager, fresh)).toMatchObject({ step: 3, optimizerRestored: true });
  });
});
