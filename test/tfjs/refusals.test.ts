/** What cannot be saved or restored exactly is refused, by code, and nothing is changed or left behind. */
import { readdirSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, test } from 'vitest';
import { loadModel, restoreModel, saveModel } from '../../src/tfjs/index.js';
import { freshDirectory } from '../helpers/directory.js';
import { rejection } from '../helpers/errors.js';
import { openManager } from '../helpers/manager.js';
import { functionalModel, OPTIMIZERS, optimizerOf, sequentialModel, train, weightsOf } from '../helpers/tfjs.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

/** Checkpoints and leftovers in a directory. */
function contents(directory: string): string[] {
  return readdirSync(directory).filter((name) => name.startsWith('checkpoint') || name.startsWith('.tmp-'));
}

function dense(units: number, name?: string, inputShape?: number[]) {
  return tf.layers.dense({ units, ...(name === undefined ? {} : { name }), ...(inputShape === undefined ? {} : { inputShape }) });
}

describe('saving refuses', () => {
  test('two weights of one name, before anything is written', async () => {
    const directory = freshDirectory();
    const manager = await openManager(directory);
    const inner = tf.sequential({ layers: [dense(2, 'same', [3])] });
    const model = tf.sequential({ layers: [inner, dense(2, 'same')] });
    const error = await rejection(saveModel(manager, model, { step: 1 }), 'ERR_MODEL');
    expect(error.tensors).toEqual(['same/kernel', 'same/bias']);
    expect(error.message).toContain('name');
    expect(contents(directory)).toEqual([]);
  });

  test('a disposed model, one that is not built, and what is no model', async () => {
    const manager = await openManager(freshDirectory());
    const disposed = sequentialModel(tf);
    disposed.dispose();
    await rejection(saveModel(manager, disposed, { step: 1 }), 'ERR_MODEL');
    await rejection(saveModel(manager, tf.sequential(), { step: 1 }), 'ERR_MODEL');
    for (const nothing of [null, undefined, {}, 'model']) {
      await rejection(saveModel(manager, nothing as unknown as tf.LayersModel, { step: 1 }), 'ERR_INVALID_ARGUMENT');
    }
  });

  test('a disposed optimizer', async () => {
    const directory = freshDirectory();
    const manager = await openManager(directory);
    const model = functionalModel(tf, 'adam');
    await train(tf, model, 0, 1);
    model.optimizer.dispose();
    await rejection(saveModel(manager, model, { step: 1 }), 'ERR_MODEL');
    expect(contents(directory)).toEqual([]);
    await saveModel(manager, model, { step: 1, includeOptimizer: false });
  });

  test('an optimizer that it does not know', async () => {
    class Own extends tf.AdamOptimizer {
      static override get className() {
        return 'Own';
      }
    }
    const manager = await openManager(freshDirectory());
    const model = functionalModel(tf, new Own(0.1, 0.9, 0.99));
    const error = await rejection(saveModel(manager, model, { step: 1 }), 'ERR_MODEL');
    expect(error.message).toContain('Own');
    expect(error.message).toContain('includeOptimizer: false');
    const { warnings } = await saveModel(manager, model, { step: 1, includeOptimizer: false });
    expect(warnings).toEqual([expect.stringContaining('cannot make the optimizer Own')]);
  });

  test('an optimizer whose private fields are elsewhere', async () => {
    const manager = await openManager(freshDirectory());
    const optimizer = tf.train.adam(0.1);
    (optimizer as unknown as Record<string, unknown>)['accBeta1'] = undefined;
    const error = await rejection(saveModel(manager, functionalModel(tf, optimizer), { step: 1 }), 'ERR_MODEL');
    expect(error.message).toContain('accBeta1');
  });

  test('the optimizer of another model, or one from before layers were frozen', async () => {
    const manager = await openManager(freshDirectory());
    const optimizer = tf.train.adam(0.1);
    const model = sequentialModel(tf, optimizer);
    await train(tf, model, 0, 1);
    await rejection(saveModel(manager, functionalModel(tf, optimizer), { step: 1 }), 'ERR_MODEL');
    await rejection(saveModel(manager, functionalModel(tf), { step: 1, optimizer }), 'ERR_MODEL');
    model.layers[0]!.trainable = false;
    model.compile({ optimizer, loss: 'categoricalCrossentropy' });
    await rejection(saveModel(manager, model, { step: 1 }), 'ERR_MODEL');
    // tfjs would go on with the slots of "left" for "right", whose shapes are the same.
    const branches = functionalModel(tf, tf.train.adam(0.1));
    await train(tf, branches, 0, 1);
    branches.getLayer('left').trainable = false;
    branches.getLayer('right').trainable = true;
    branches.compile({ optimizer: branches.optimizer, loss: 'categoricalCrossentropy' });
    const error = await rejection(saveModel(manager, branches, { step: 1 }), 'ERR_MODEL');
    expect(error.message).toContain('layers frozen');
  });

  test('includeOptimizer of a model that is not compiled, and misspelled options', async () => {
    const manager = await openManager(freshDirectory());
    await rejection(saveModel(manager, functionalModel(tf), { step: 1, includeOptimizer: true }), 'ERR_MODEL');
    await rejection(saveModel(manager, functionalModel(tf), { step: 1, includeOptimiser: true } as never), 'ERR_UNKNOWN_OPTION');
    await rejection(saveModel(manager, functionalModel(tf), { step: 1, includeOptimizer: 'yes' } as never), 'ERR_INVALID_ARGUMENT');
    await rejection(restoreModel(manager, functionalModel(tf), 'latest', { matching: 'name' } as never), 'ERR_UNKNOWN_OPTION');
    await rejection(restoreModel(manager, functionalModel(tf), 'latest', { match: 'shape' } as never), 'ERR_INVALID_ARGUMENT');
    await rejection(loadModel(manager, 'latest', { custom: {} } as never), 'ERR_UNKNOWN_OPTION');
  });

  test('an attachment named model.json', async () => {
    const manager = await openManager(freshDirectory());
    await rejection(
      saveModel(manager, functionalModel(tf), { step: 1, attachments: [{ name: 'model.json', data: '' }] }),
      'ERR_INVALID_NAME',
    );
    const { path } = await saveModel(manager, functionalModel(tf), { step: 1, attachments: [{ name: 'labels.txt', data: 'a' }] });
    expect(readdirSync(path)).toContain('labels.txt');
  });
});

describe('saving warns', () => {
  test('of a loss that is a function, which tfjs would save as {}', async () => {
    const manager = await openManager(freshDirectory());
    const model = functionalModel(tf);
    const loss = (truth: tf.Tensor, guess: tf.Tensor) => tf.losses.meanSquaredError(truth, guess);
    model.compile({ optimizer: tf.train.adam(0.01), loss });
    await train(tf, model, 0, 3);
    const { warnings } = await saveModel(manager, model, { step: 3 });
    expect(warnings).toHaveLength(1);
    const uncompiled = await loadModel(manager);
    expect(uncompiled).toMatchObject({ compiled: false, optimizerRestored: false });
    const loaded = await loadModel(manager, 'latest', { compile: { optimizer: tf.train.adam(1), loss } });
    expect(loaded).toMatchObject({ compiled: true, optimizerRestored: true });
    await train(tf, model, 3, 6);
    await train(tf, loaded!.model, 3, 6);
    expect(weightsOf(loaded!.model)).toEqual(weightsOf(model));
  });
});

describe('restoring refuses, and leaves the model as it was,', () => {
  async function refused(saved: tf.LayersModel, into: tf.LayersModel, options: Parameters<typeof restoreModel>[3] = {}) {
    const manager = await openManager(freshDirectory());
    await train(tf, saved, 0, 2);
    await saveModel(manager, saved, { step: 2 });
    if (into.optimizer) await train(tf, into, 5, 7);
    const look = () => ({
      weights: weightsOf(into),
      optimizer: into.optimizer ? optimizerOf(into) : undefined,
      memory: tf.memory().numTensors,
    });
    const before = look();
    const error = await rejection(restoreModel(manager, into, 'latest', options), 'ERR_MODEL_MISMATCH');
    expect(look()).toEqual(before);
    return error;
  }

  const small = (head: number, extra: boolean) => {
    const model = tf.sequential({ layers: [dense(4, 'a', [6]), ...(extra ? [dense(4, 'b')] : []), dense(head, 'c')] });
    model.compile({ optimizer: tf.train.adam(0.01), loss: 'meanSquaredError' });
    return model;
  };

  test('missing, extra and differently shaped weights, all of them listed', async () => {
    const fewer = await refused(small(3, true), small(3, false));
    expect(fewer.tensors).toEqual(expect.arrayContaining(['b/kernel', 'b/bias', 'b/kernel/m', 'b/kernel/v']));
    expect(fewer.message).toContain('only in the checkpoint: weight "b/kernel"');
    const more = await refused(small(3, false), small(3, true));
    expect(more.message).toContain('missing from the checkpoint: weight "b/kernel"');
  });

  test('another shape', async () => {
    const manager = await openManager(freshDirectory());
    await saveModel(manager, small(3, false), { step: 1 });
    const error = await rejection(restoreModel(manager, small(5, false)), 'ERR_MODEL_MISMATCH');
    expect(error.tensors).toEqual(['c/bias', 'c/kernel'].sort().reverse());
    expect(error.message).toContain('F32 [4, 3] in the checkpoint and F32 [4, 5] in the model');
  });

  test.each(Object.entries(OPTIMIZERS).filter(([name]) => name !== 'Adagrad'))('another optimizer: %s', async (_, make) => {
    const error = await refused(functionalModel(tf, OPTIMIZERS['Adagrad']!(tf)), functionalModel(tf, make(tf)));
    expect(error.message).toContain('the optimizer is Adagrad in the checkpoint');
  });

  test('other layers frozen', async () => {
    const model = functionalModel(tf);
    model.getLayer('left').trainable = false;
    model.compile({ optimizer: tf.train.adam(0.1), loss: 'categoricalCrossentropy' });
    const error = await refused(functionalModel(tf, 'adam'), model);
    expect(error.message).toContain('which the model does not train');
  });

  test('an optimizer without a model that has one, and the other way round', async () => {
    expect((await refused(functionalModel(tf, 'adam'), functionalModel(tf))).message).toContain('not compiled');
    const manager = await openManager(freshDirectory());
    await saveModel(manager, functionalModel(tf), { step: 1 });
    const into = functionalModel(tf, 'adam');
    const error = await rejection(restoreModel(manager, into), 'ERR_MODEL_MISMATCH');
    expect(error.message).toContain('includeOptimizer: false');
    expect(await restoreModel(manager, into, 'latest', { includeOptimizer: false })).toMatchObject({ optimizerRestored: false });
  });

  test('weights that a process named otherwise; by position they fit', async () => {
    const unnamed = () => {
      const model = tf.sequential({ layers: [dense(4, undefined, [6]), dense(3)] });
      model.compile({ optimizer: tf.train.adam(0.01), loss: 'meanSquaredError' });
      return model;
    };
    const [model, other] = [unnamed(), unnamed()];
    expect((await refused(model, other)).message).toContain('match: "position"');
    const manager = await openManager(freshDirectory());
    await saveModel(manager, model, { step: 2 });
    await restoreModel(manager, other, 'latest', { match: 'position' });
    await train(tf, model, 2, 5);
    await train(tf, other, 2, 5);
    expect(Object.values(weightsOf(other))).toEqual(Object.values(weightsOf(model)));
    expect(optimizerOf(other)).toEqual(optimizerOf(model));
    await refusedByPosition(small(3, true), small(3, false));
  });

  async function refusedByPosition(saved: tf.LayersModel, into: tf.LayersModel) {
    await refused(saved, into, { match: 'position' });
  }

  test('a checkpoint that was not saved from a model, as far as the optimizer goes', async () => {
    const manager = await openManager(freshDirectory());
    const model = functionalModel(tf);
    await manager.save({
      step: 1,
      tensors: model.weights.map((weight) => ({
        name: weight.originalName,
        dtype: 'F32' as const,
        shape: weight.shape as number[],
        data: new Float32Array(weight.read().size).fill(0.5),
      })),
    });
    await restoreModel(manager, model);
    expect(new Set(model.weights.flatMap((weight) => [...weight.read().dataSync()]))).toEqual(new Set([0.5]));
    await rejection(loadModel(manager), 'ERR_MODEL');
  });
});

describe('where there is nothing', () => {
  test('restoreModel and loadModel give null', async () => {
    const directory = freshDirectory();
    const manager = await openManager(directory);
    expect(await restoreModel(manager, functionalModel(tf, 'adam'))).toBeNull();
    expect(await loadModel(manager)).toBeNull();
    expect(await loadModel(directory)).toBeNull();
    await rejection(loadModel(`${directory}/missing`), 'ERR_NOT_FOUND');
  });
});
