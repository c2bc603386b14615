/** A weak restore that is refused, or that must leave a weight alone: dtypes, strings, nothing that fits, and wrong options. */
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Json } from '../../src/format/state.js';
import type { CheckpointManager } from '../../src/manager/manager.js';
import { type RestoreModelOptions, restoreModel, saveModel } from '../../src/tfjs/index.js';
import { freshDirectory } from '../helpers/directory.js';
import { rejection } from '../helpers/errors.js';
import { openManager } from '../helpers/manager.js';
import { alive, functionalModel, sequentialModel, train, weightsOf } from '../helpers/tfjs.js';
import { stateOf } from '../helpers/tfjs-saving.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

/** A layer with these weights, none of them trained, and a dense one. */
function modelWith(values: Record<string, () => tf.Tensor>): tf.LayersModel {
  class Holder extends tf.layers.Layer {
    static get className() {
      return 'Holder';
    }
    override build() {
      for (const [name, make] of Object.entries(values)) {
        const initializer = { apply: make } as unknown as ReturnType<typeof tf.initializers.zeros>;
        const { shape, dtype } = make();
        this.addWeight(name, shape, dtype, initializer, undefined, false);
      }
      this.built = true;
    }
    override call(inputs: tf.Tensor | tf.Tensor[]) {
      return Array.isArray(inputs) ? inputs[0]! : inputs;
    }
  }
  return tf.sequential({ layers: [new Holder({ name: 'h', inputShape: [2] }), tf.layers.dense({ name: 'd', units: 1 })] });
}

function read(model: tf.LayersModel, name: string): unknown {
  return [
    ...(model.weights
      .find(({ originalName }) => originalName === `h/${name}`)
      ?.read()
      .dataSync() ?? []),
  ];
}

/** What must be as before when a restore throws. */
function look(model: tf.LayersModel) {
  return model.optimizer ? stateOf(model) : weightsOf(model);
}

async function refused(manager: CheckpointManager, model: tf.LayersModel, options: RestoreModelOptions = {}) {
  const [before, memory] = [look(model), alive(tf)];
  const error = await rejection(restoreModel(manager, model, 'latest', { mode: 'weak', ...options }), 'ERR_MODEL_MISMATCH');
  expect(look(model)).toEqual(before);
  expect(alive(tf)).toEqual(memory);
  expect(error.message).toContain('nothing in the model was changed');
  return error;
}

describe('dtypes', () => {
  test('a weight of another dtype is left alone, and both dtypes are said', async () => {
    const manager = await openManager(freshDirectory());
    await saveModel(manager, modelWith({ a: () => tf.tensor1d([1, 0, 1], 'bool'), b: () => tf.tensor1d([7, 8], 'int32') }), { step: 1 });
    const model = modelWith({ a: () => tf.tensor1d([0.5, 0.5, 0.5]), b: () => tf.tensor1d([0, 0], 'int32') });
    const before = alive(tf);
    const restored = await restoreModel(manager, model, 'latest', { mode: 'weak' });
    expect(alive(tf)).toEqual(before);
    const [expected, actual] = ['F32', 'BOOL'].map((dtype) => ({ dtype, shape: [3] }));
    expect(restored?.match).toMatchObject({ matched: ['d/kernel', 'd/bias', 'h/b'], wrong: [{ name: 'h/a', expected, actual }] });
    expect([read(model, 'a'), read(model, 'b')]).toEqual([
      [0.5, 0.5, 0.5],
      [7, 8],
    ]);
    const { message } = await rejection(restoreModel(manager, model), 'ERR_MODEL_MISMATCH');
    expect(message).toContain('mode: "weak"');
    expect(message).not.toContain('position');
  });

  test('strings are restored, of another shape or from a number they are left alone', async () => {
    const manager = await openManager(freshDirectory());
    const words = ['', 'ü', 'a\0b', '日本語'];
    await saveModel(
      manager,
      modelWith({
        same: () => tf.tensor2d(words, [2, 2], 'string'),
        shape: () => tf.tensor1d(words, 'string'),
        number: () => tf.tensor1d([1, 2, 3, 4], 'int32'),
        word: () => tf.tensor1d(['a', 'b'], 'string'),
      }),
      { step: 1 },
    );
    const model = modelWith({
      same: () => tf.fill([2, 2], 'x', 'string' as never),
      shape: () => tf.fill([2, 2], 'x', 'string' as never),
      number: () => tf.fill([4], 'x', 'string' as never),
      word: () => tf.tensor1d([0, 0], 'bool'),
    });
    const restored = await restoreModel(manager, model, 'latest', { mode: 'weak' });
    expect(restored?.match).toMatchObject({ matched: ['d/kernel', 'd/bias', 'h/same'], missing: [], extra: [] });
    expect(restored?.match.wrong).toEqual([
      { name: 'h/shape', expected: { dtype: 'U8', shape: [2, 2] }, actual: { dtype: 'U8', shape: [4] } },
      { name: 'h/number', expected: { dtype: 'U8', shape: [4] }, actual: { dtype: 'I32', shape: [4] } },
      { name: 'h/word', expected: { dtype: 'BOOL', shape: [2] }, actual: { dtype: 'U8', shape: [2] } },
    ]);
    expect(['same', 'shape', 'number', 'word'].map((name) => read(model, name))).toEqual([
      words,
      Array(4).fill('x'),
      Array(4).fill('x'),
      [0, 0],
    ]);
    const error = await rejection(restoreModel(manager, model), 'ERR_MODEL_MISMATCH');
    expect(error.message).toContain('weight "h/shape" is string [4] in the checkpoint and string [2, 2] in the model');
    expect(error.message).toContain('weight "h/word" is string [2] in the checkpoint and BOOL [2] in the model');
  });

  /** A checkpoint with a string weight whose bytes are these. */
  async function savedBytes(bytes: Uint8Array, strings: Json) {
    const manager = await openManager(freshDirectory());
    const tfjs = { version: 1, weights: ['h/s', 'd/bias'], strings, optimizer: null, trainingConfig: null };
    const tensors = {
      'h/s': { dtype: 'U8' as const, shape: [bytes.length], data: bytes },
      'd/bias': { dtype: 'F32' as const, shape: [1], data: new Float32Array([5]) },
    };
    await manager.save({ step: 1, contents: 'weights', tensors, extensions: { tfjs } });
    return manager;
  }
  const ONE_STRING = () => modelWith({ s: () => tf.tensor1d(['x'], 'string') });

  test('bytes that nobody says are strings are none, although strings are stored as such', async () => {
    const manager = await savedBytes(new Uint8Array(1), []);
    const model = ONE_STRING();
    const restored = await restoreModel(manager, model, 'latest', { mode: 'weak' });
    const same = { dtype: 'U8', shape: [1] };
    expect(restored?.match).toMatchObject({ matched: ['d/bias'], wrong: [{ name: 'h/s', expected: same, actual: same }] });
    expect(read(model, 's')).toEqual(['x']);
    const error = await rejection(restoreModel(manager, model), 'ERR_MODEL_MISMATCH');
    expect(error.message).toContain('is U8 [1] in the checkpoint and string [1] in the model');
  });

  test('strings that cannot be read change nothing, other weights included', async () => {
    const manager = await savedBytes(new Uint8Array([9, 0, 0, 0, 65]), [{ name: 'h/s', shape: [1] }]);
    const model = ONE_STRING();
    const values = () => model.getWeights().map((weight) => [...weight.dataSync()]);
    const [before, memory] = [values(), alive(tf)];
    const error = await rejection(restoreModel(manager, model, 'latest', { mode: 'weak' }), 'ERR_MODEL_MISMATCH');
    expect(error.tensors).toEqual(['h/s']);
    expect([values(), alive(tf)]).toEqual([before, memory]);
  });
});

describe('refused, or left out, with the model as it was', () => {
  test('a checkpoint of which nothing fits', async () => {
    const manager = await openManager(freshDirectory());
    const model = functionalModel(tf, 'adam');
    await train(tf, model, 0, 2);
    await saveModel(manager, model, { step: 2 });
    for (const optimizer of ['adam', undefined]) {
      const error = await refused(manager, sequentialModel(tf, optimizer));
      expect(error.message).toContain('has no tensor that fits');
      expect(error.message).toContain('missing from the checkpoint: weight "first/kernel"');
      expect(error.tensors).toEqual(expect.arrayContaining(['first/kernel', 'out/bias']));
    }
    const shapes = tf.sequential({ layers: [tf.layers.dense({ name: 'left', units: 9, inputShape: [9] })] });
    await refused(manager, shapes);
    await refused(manager, shapes, { match: 'position' });
    await refused(manager, functionalModel(tf, 'adam'), { rename: (name) => `${name}?` });
  });

  test('a checkpoint that fits by position only, and how to restore it is said', async () => {
    const unnamed = () => tf.sequential({ layers: [tf.layers.dense({ units: 4, inputShape: [6] }), tf.layers.dense({ units: 3 })] });
    const manager = await openManager(freshDirectory());
    const model = unnamed();
    await saveModel(manager, model, { step: 1 });
    const other = unnamed();
    expect((await refused(manager, other)).message).toContain('match: "position"');
    expect((await restoreModel(manager, other, 'latest', { mode: 'weak', match: 'position' }))?.match.renamed).toHaveLength(4);
    expect(Object.values(weightsOf(other))).toEqual(Object.values(weightsOf(model)));
  });

  test('an optimizer that must be restored and does not fit', async () => {
    const manager = await openManager(freshDirectory());
    const model = functionalModel(tf, 'adam');
    await train(tf, model, 0, 2);
    await saveModel(manager, model, { step: 2 });
    const includeOptimizer = true;
    const error = await refused(manager, functionalModel(tf, 'sgd'), { includeOptimizer });
    expect(error.message).toContain('the optimizer is Adam in the checkpoint and SGD in the model');
    const uncompiled = functionalModel(tf);
    const before = weightsOf(uncompiled);
    const options = { mode: 'weak', includeOptimizer } as const;
    await rejection(restoreModel(manager, uncompiled, 'latest', options), 'ERR_MODEL_MISMATCH');
    expect(weightsOf(uncompiled)).toEqual(before);
    const target = functionalModel(tf, 'adam');
    expect((await restoreModel(manager, target, 'latest', options))?.optimizerRestored).toBe(true);
    expect(stateOf(target)).toEqual(stateOf(model));
  });

  test('positions of a checkpoint that has none', async () => {
    const manager = await openManager(freshDirectory());
    const bias = { dtype: 'F32' as const, shape: [4], data: new Float32Array(4).fill(0.5) };
    await manager.save({ step: 1, tensors: { 'left/bias': bias } });
    const model = functionalModel(tf, 'adam');
    const before = stateOf(model);
    const error = await rejection(restoreModel(manager, model, 'latest', { mode: 'weak', match: 'position' }), 'ERR_MODEL_MISMATCH');
    expect(error.message).toContain('Match by name');
    expect(stateOf(model)).toEqual(before);
    expect((await restoreModel(manager, model, 'latest', { mode: 'weak' }))?.match.matched).toEqual(['left/bias']);
    expect(new Set(model.getLayer('left').getWeights()[1]!.dataSync())).toEqual(new Set([0.5]));
  });

  test('a weight beyond the last position takes no tensor, whatever its name', async () => {
    const manager = await openManager(freshDirectory());
    const tensor = { dtype: 'F32' as const, shape: [1, 1], data: new Float32Array([5]) };
    const tfjs = { version: 1, weights: ['x/kernel'], strings: [], optimizer: null, trainingConfig: null };
    const names = ['x/kernel', 'b/kernel', 'b/kernel (nothing at its position)'];
    await manager.save({
      ...{ step: 1, contents: 'weights', extensions: { tfjs } },
      tensors: names.map((name) => ({ ...tensor, name })),
    });
    const layers = ['a', 'b'].map((name) =>
      tf.layers.dense({ name, units: 1, useBias: false, kernelInitializer: 'ones', inputShape: [1] }),
    );
    const model = tf.sequential({ layers });
    const restored = await restoreModel(manager, model, 'latest', { mode: 'weak', match: 'position' });
    expect(restored?.match).toMatchObject({
      renamed: [{ name: 'a/kernel', from: 'x/kernel' }],
      missing: ['b/kernel'],
      extra: names.slice(1),
    });
    expect(model.getWeights().map((weight) => [...weight.dataSync()])).toEqual([[5], [1]]);
  });

  test('a function of the caller’s that throws, or gives no name', async () => {
    const manager = await openManager(freshDirectory());
    const model = functionalModel(tf, 'adam');
    await saveModel(manager, model, { step: 1 });
    await train(tf, model, 0, 2);
    const before = stateOf(model);
    const throwing = (name: string) => (name === 'out/bias' ? expect.fail('no name today') : name);
    await expect(restoreModel(manager, model, 'latest', { mode: 'weak', rename: throwing })).rejects.toThrow('no name today');
    for (const rename of [() => undefined, { 'out/bias': 3 }]) {
      await rejection(restoreModel(manager, model, 'latest', { mode: 'weak', rename: rename as never }), 'ERR_INVALID_ARGUMENT');
    }
    expect(stateOf(model)).toEqual(before);
  });

  test('options that make no sense, before anything is read', async () => {
    const manager = await openManager(freshDirectory());
    const model = functionalModel(tf);
    const wrong: object[] = [
      { mode: 'lax' },
      { rename: null },
      { rename: 'x' },
      { match: 'position', rename: {} },
      { includeOptimizer: 'yes' },
    ];
    for (const options of wrong) await rejection(restoreModel(manager, model, 'latest', options), 'ERR_INVALID_ARGUMENT');
    await rejection(restoreModel(manager, model, 'latest', { strict: false } as never), 'ERR_UNKNOWN_OPTION');
    expect(await restoreModel(manager, model, 'latest', { mode: 'weak' })).toBeNull();
  });
});
