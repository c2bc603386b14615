/** All dtypes, own layers, and the ways to name what is loaded. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, test } from 'vitest';
import { loadModel, restoreModel, saveModel } from '../../src/tfjs/index.js';
import { freshDirectory } from '../helpers/directory.js';
import { rejection } from '../helpers/errors.js';
import { openManager } from '../helpers/manager.js';
import { alive, functionalModel, predictions, sequentialModel, train, weightsOf } from '../helpers/tfjs.js';
import { serveDirectory } from '../helpers/tfjs-server.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const VALUES: Record<string, (fresh: boolean) => tf.Tensor> = {
  float32: (fresh) => tf.tensor1d(fresh ? [0, 0, 0] : [-0, Number.NaN, 1e-45]),
  int32: (fresh) => tf.tensor1d(fresh ? [0, 0] : [-(2 ** 31), 2 ** 31 - 1], 'int32'),
  bool: (fresh) => tf.tensor1d(fresh ? [0, 0, 0] : [1, 0, 1], 'bool'),
  complex64: (fresh) => (fresh ? tf.complex([0, 0], [0, 0]) : tf.complex([1, -2], [3.5, Number.NEGATIVE_INFINITY])),
  string: (fresh) =>
    tf.tensor2d(
      fresh
        ? [
            ['', ''],
            ['', ''],
          ]
        : [
            ['', 'ü'],
            ['a\0b', '日本語 🐚'],
          ],
      [2, 2],
      'string',
    ),
};

/** What addWeight takes; the type is not exported. */
type Initializer = ReturnType<typeof tf.initializers.zeros>;

/** A layer with a weight of every dtype of TensorFlow.js. */
class AllDtypes extends tf.layers.Layer {
  static get className() {
    return 'AllDtypes';
  }
  override build() {
    for (const [dtype, make] of Object.entries(VALUES)) {
      const initializer = { apply: () => make(true) } as unknown as Initializer;
      this.addWeight(`w_${dtype}`, make(true).shape, dtype as tf.DataType, initializer, undefined, false);
    }
    this.built = true;
  }
  override call(inputs: tf.Tensor | tf.Tensor[]) {
    return Array.isArray(inputs) ? inputs[0]! : inputs;
  }
}

function modelOfAllDtypes(): tf.LayersModel {
  return tf.sequential({ layers: [new AllDtypes({ name: 'all', inputShape: [2] }), tf.layers.dense({ name: 'd', units: 1 })] });
}

function read(model: tf.LayersModel): Record<string, unknown> {
  return Object.fromEntries(model.weights.map((weight) => [weight.originalName, weight.read().dataSync()]));
}

describe('a weight of every dtype of TensorFlow.js', () => {
  async function savedAllDtypes() {
    const manager = await openManager(freshDirectory());
    const model = modelOfAllDtypes();
    for (const weight of model.weights) {
      const make = VALUES[weight.originalName.replace('all/w_', '')];
      if (make !== undefined) (weight.read() as tf.Variable).assign(make(false));
    }
    const before = alive(tf);
    const { path: checkpoint } = await saveModel(manager, model, { step: 1 });
    expect(alive(tf)).toEqual(before);
    return { manager, model, checkpoint };
  }

  test('comes back bit by bit', async () => {
    const { manager, model } = await savedAllDtypes();
    const fresh = modelOfAllDtypes();
    const before = alive(tf);
    await restoreModel(manager, fresh);
    expect(alive(tf)).toEqual(before);
    expect(read(fresh)).toEqual(read(model));
    expect(fresh.weights.map((weight) => [weight.dtype, weight.shape])).toEqual(
      model.weights.map((weight) => [weight.dtype, weight.shape]),
    );
  });

  test('has the documented dtype in the file', async () => {
    const { manager } = await savedAllDtypes();
    const restored = await manager.restore('latest', { contents: 'any' });
    const dtypes = Object.fromEntries([...restored!.tensors].map(([name, { dtype }]) => [name, dtype]));
    expect(dtypes).toMatchObject({
      'all/w_float32': 'F32',
      'all/w_int32': 'I32',
      'all/w_bool': 'BOOL',
      'all/w_complex64': 'C64',
      'all/w_string': 'U8',
    });
  });

  test('is read by stock tf.loadLayersModel, strings included', async () => {
    const { model, checkpoint } = await savedAllDtypes();
    tf.serialization.registerClass(AllDtypes as never);
    // Its fast path for "strict" cannot make a placeholder for a string weight.
    const stock = await tf.loadLayersModel(`${await serveDirectory(checkpoint)}/model.json`, { strict: false });
    expect(read(stock)).toEqual(read(model));
  });

  test('of another dtype in the model is refused', async () => {
    const { manager } = await savedAllDtypes();
    const fresh = modelOfAllDtypes();
    const weight = fresh.weights.find(({ originalName }) => originalName === 'all/w_bool') as unknown as { val: tf.Variable };
    weight.val = tf.variable(tf.tensor1d([0, 0, 0]));
    const error = await rejection(restoreModel(manager, fresh), 'ERR_MODEL_MISMATCH');
    expect(error.tensors).toEqual(['all/w_bool']);
  });
});

describe('loadModel', () => {
  test('takes a manager, a directory, or the directory of one checkpoint', async () => {
    const directory = freshDirectory();
    const manager = await openManager(directory);
    const model = sequentialModel(tf, 'adam');
    const states: string[] = [];
    const paths: string[] = [];
    for (const step of [1, 2, 3]) {
      await train(tf, model, step, step + 1);
      states.push(predictions(tf, model));
      paths.push((await saveModel(manager, model, { step, metrics: { loss: step === 2 ? 0 : 1 }, state: { step } })).path);
    }
    const predicted = async (...args: Parameters<typeof loadModel>) => predictions(tf, (await loadModel(...args))!.model);
    expect(await predicted(manager)).toBe(states[2]);
    expect(await predicted(directory)).toBe(states[2]);
    expect(await predicted(directory, 'best')).toBe(states[1]);
    expect(await predicted(directory, { step: 1 })).toBe(states[0]);
    expect(await predicted(paths[0]!)).toBe(states[0]);
    expect(await predicted(manager, path.basename(paths[1]!))).toBe(states[1]);
    expect(await loadModel(paths[1]!)).toMatchObject({
      step: 2,
      metrics: { loss: 0 },
      state: { step: 2 },
      info: { name: path.basename(paths[1]!) },
    });
  });

  test('passes over a damaged checkpoint and says so', async () => {
    const directory = freshDirectory();
    const manager = await openManager(directory);
    const model = functionalModel(tf, 'adam');
    await saveModel(manager, model, { step: 1 });
    const kept = weightsOf(model);
    await train(tf, model, 0, 1);
    const { path: checkpoint, name } = await saveModel(manager, model, { step: 2 });
    const file = path.join(checkpoint, 'model.safetensors');
    const { writeFileSync } = await import('node:fs');
    const bytes = readFileSync(file);
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(file, bytes);
    const restored = await restoreModel(manager, model);
    expect(restored).toMatchObject({ step: 1, skipped: [{ name, code: 'ERR_CHECKSUM' }] });
    expect(weightsOf(model)).toEqual(kept);
  });

  test('builds layers of your own from customObjects', async () => {
    class Twice extends tf.layers.Layer {
      static get className() {
        return 'Twice';
      }
      override call(inputs: tf.Tensor | tf.Tensor[]) {
        return (Array.isArray(inputs) ? inputs[0]! : inputs).mul(2);
      }
    }
    const manager = await openManager(freshDirectory());
    const model = tf.sequential({ layers: [tf.layers.dense({ name: 'd', units: 3, inputShape: [6] }), new Twice({ name: 'twice' })] });
    await saveModel(manager, model, { step: 1 });
    const error = await rejection(loadModel(manager), 'ERR_MODEL');
    expect(error.message).toContain('Twice');
    const loaded = await loadModel(manager, 'latest', { customObjects: { Twice: Twice as never } });
    expect(predictions(tf, loaded!.model)).toBe(predictions(tf, model));
  });

  test('without the optimizer', async () => {
    const manager = await openManager(freshDirectory());
    const model = functionalModel(tf, 'adam');
    await train(tf, model, 0, 2);
    await saveModel(manager, model, { step: 2, includeOptimizer: false });
    for (const includeOptimizer of [undefined, false]) {
      const loaded = await loadModel(manager, 'latest', includeOptimizer === undefined ? {} : { includeOptimizer });
      expect(loaded).toMatchObject({ optimizerRestored: false, info: { contents: 'weights' } });
      expect(weightsOf(loaded!.model)).toEqual(weightsOf(model));
    }
    await rejection(loadModel(manager, 'latest', { includeOptimizer: true }), 'ERR_MODEL_MISMATCH');
  });
});

test('with stable: false a typed array of the caller may change at once', async () => {
  const manager = await openManager(freshDirectory());
  const model = tf.sequential({ layers: [tf.layers.dense({ name: 'd', units: 2, inputShape: [2], useBias: false })] });
  const values = new Float32Array([1, 2, 3, 4]);
  model.setWeights([tf.tensor2d(values, [2, 2])]);
  const saving = saveModel(manager, model, { step: 1, stable: false });
  values.fill(9);
  await saving;
  const restored = await manager.restore('latest', { contents: 'any' });
  expect([...restored!.tensors.get('d/kernel')!.data]).toEqual([1, 2, 3, 4]);
});

test('what is neither a path nor a manager is refused', async () => {
  const error = await rejection(loadModel(undefined as unknown as string), 'ERR_INVALID_ARGUMENT');
  expect(error.message).toMatch(/path of a directory/);
});
