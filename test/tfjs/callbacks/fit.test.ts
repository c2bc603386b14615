/** Callbacks of this library, instances of tf.Callback and plain objects in one fit: in any order, of any kind of model, with fit and fitDataset. */
import { readdirSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  BestNCheckpoints,
  EarlyStopping,
  ModelCheckpoint,
  PeriodicCheckpoint,
  ReduceLROnPlateau,
  TerminateOnNaN,
  TrainingState,
} from '../../../src/tfjs/index.js';
import { freshDirectory } from '../../helpers/directory.js';
import { rejection } from '../../helpers/errors.js';
import { functionalModel, sequentialModel } from '../../helpers/tfjs.js';
import { data, fitScript, printed, scripted } from '../../helpers/tfjs-fit.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

/** Stock early stopping that ends at the second epoch. */
const stock = () => tf.callbacks.earlyStopping({ monitor: 'loss', minDelta: 1000 });

class Instance extends tf.Callback {
  readonly seen: unknown[] = [];
  override async onBatchEnd(_batch: number, logs?: tf.Logs) {
    this.seen.push(logs?.['loss']);
  }
}

describe('one list', () => {
  const kinds = () => {
    const ours = new EarlyStopping({ monitor: 'loss', patience: 9 });
    const seen: number[] = [];
    const plain = { onEpochEnd: (_: number, logs?: tf.Logs) => void seen.push(logs?.['loss'] as number) };
    return { ours, instance: new Instance(), stock: stock(), plain, seen };
  };
  type Kind = 'ours' | 'instance' | 'stock' | 'plain';

  test.each<Kind[]>([
    ['ours', 'stock', 'plain', 'instance'],
    ['plain', 'ours', 'instance', 'stock'],
    ['stock', 'plain', 'instance', 'ours'],
    ['instance', 'plain', 'ours', 'stock'],
  ])('%s, %s, %s, %s', async (...order) => {
    const all = kinds();
    const { x, y } = data(tf);
    const callbacks = order.map((kind) => all[kind]) as tf.CustomCallbackArgs[];
    const { epoch } = await functionalModel(tf, 'sgd').fit(x, y, { verbose: 0, batchSize: 8, epochs: 5, callbacks });
    // Each of them did what it is for.
    expect(epoch).toEqual([0, 1]);
    expect(all.ours.best).toBeTypeOf('number');
    expect(all.seen).toEqual([expect.any(Number), expect.any(Number)]);
    expect(all.instance.seen).toHaveLength(6);
  });

  test('an instance of tf.Callback is given tensors, as without ours', async () => {
    const [alone, beside] = [new Instance(), new Instance()];
    const { x, y } = data(tf);
    const run = (callbacks: tf.Callback[]) => functionalModel(tf, 'sgd').fit(x, y, { verbose: 0, batchSize: 24, callbacks });
    await run([alone]);
    await run([beside, new EarlyStopping({ monitor: 'loss' })] as tf.Callback[]);
    expect(beside.seen.map((each) => each instanceof tf.Tensor)).toEqual(alone.seen.map((each) => each instanceof tf.Tensor));
    expect(alone.seen[0]).toBeInstanceOf(tf.Tensor);
  });

  test('a fit without ours goes through untouched', async () => {
    const { x, y } = data(tf);
    const callbacks = [new Instance(), {}] as tf.Callback[];
    await expect(functionalModel(tf, 'sgd').fit(x, y, { verbose: 0, callbacks })).rejects.toThrow('setParams is not a function');
    const { epoch } = await sequentialModel(tf, 'sgd').fit(x, y, { verbose: 0, epochs: 3, callbacks: stock() });
    expect(epoch).toEqual([0, 1]);
  });

  test('onYield and yieldEvery work as they do', async () => {
    const { x, y } = data(tf);
    let yields = 0;
    const onYield = () => {
      yields++;
    };
    const callbacks = [new EarlyStopping({ monitor: 'loss' }), { onYield }];
    await sequentialModel(tf, 'sgd').fit(x, y, { verbose: 0, epochs: 2, batchSize: 8, yieldEvery: 1, callbacks });
    expect(yields).toBeGreaterThan(0);
  });
});

test('a single one, and fitDataset', async () => {
  const { x, y } = data(tf);
  const dataset = tf.data.zip({ xs: tf.data.array(await x.array()), ys: tf.data.array(await y.array()) }).batch(8);
  const directory = freshDirectory();
  for (const model of [sequentialModel(tf, 'sgd'), functionalModel(tf, 'sgd')]) {
    const stopping = new EarlyStopping({ monitor: 'loss', minDelta: 1000 });
    const { epoch } = await model.fitDataset(dataset as tf.data.Dataset<tf.TensorContainer>, {
      verbose: 0,
      epochs: 9,
      callbacks: stopping,
    });
    expect(epoch).toEqual([0, 1]);
    const callbacks = [new ModelCheckpoint({ directory }), stock()] as tf.CustomCallbackArgs[];
    await model.fitDataset(dataset as tf.data.Dataset<tf.TensorContainer>, { verbose: 0, epochs: 2, callbacks });
  }
  expect(readdirSync(directory).filter((name) => name.startsWith('checkpoint'))).toHaveLength(4);
});

test('two fits of one model at a time: the second is refused, and the first goes on undisturbed', async () => {
  const model = sequentialModel(tf, 'sgd');
  const callback = new ModelCheckpoint({ directory: freshDirectory() });
  const first = fitScript(tf, model, { val_loss: [2, 1] }, callback);
  await expect(fitScript(tf, model, { val_loss: [2, 1] }, callback)).rejects.toThrow('another fit() call is ongoing');
  expect((await first).epoch).toEqual([0, 1]);
});

describe('where fit could not be wrapped', () => {
  test('a callback that was told its model works as a plain object does', async () => {
    const model = sequentialModel(tf, 'sgd');
    const directory = freshDirectory();
    const all = [
      scripted({ val_loss: [1, 2, 3] }),
      new EarlyStopping({ model, patience: 1 }),
      new ModelCheckpoint(`${directory}/{epoch}`, { model, saveFreq: 3 }),
    ];
    const { x, y } = data(tf);
    const callbacks = all.map((each) => new tf.CustomCallback(each));
    const { epoch } = await model.fit(x, y, { verbose: 0, batchSize: 8, epochs: 3, callbacks });
    expect(epoch).toEqual([0, 1]);
    expect(readdirSync(directory)).toEqual(expect.arrayContaining(['1', '2']));
  });

  test('one that was not says what to do', async () => {
    const { x, y } = data(tf);
    const callbacks = new tf.CustomCallback(new ReduceLROnPlateau());
    const error = await rejection(sequentialModel(tf, 'sgd').fit(x, y, { verbose: 0, callbacks }), 'ERR_INVALID_ARGUMENT');
    expect(error.message).toContain('Give it the option "model"');
  });
});

test('one that was made for another model is refused', async () => {
  const callback = new EarlyStopping({ model: sequentialModel(tf, 'sgd') });
  await rejection(fitScript(tf, sequentialModel(tf, 'sgd'), { val_loss: [1] }, callback), 'ERR_INVALID_ARGUMENT');
});

test('all of them in one fit', async () => {
  const directory = freshDirectory();
  const state = new TrainingState();
  const [best, periodic, top] = ['best', 'periodic', 'top'].map((name) => `${directory}/${name}`) as [string, string, string];
  const lines = printed();
  await fitScript(tf, sequentialModel(tf, tf.train.adam(0.01)), { val_loss: [4, 3, 3, 2, 2, 2, 2] }, [
    new ModelCheckpoint(`${best}/best_model.keras`, { saveBestOnly: true, verbose: 1 }),
    new EarlyStopping({ patience: 3, restoreBestWeights: true, verbose: 1 }),
    new ReduceLROnPlateau({ patience: 2, factor: 0.5, verbose: 1 }),
    new PeriodicCheckpoint({ directory: periodic, everySteps: 6, trainingState: state }),
    new BestNCheckpoints({ directory: top, n: 2, monitor: 'val_loss' }),
    new TerminateOnNaN(),
    state,
  ]);
  expect(lines.map((line) => line.replaceAll(directory, ''))).toEqual([
    '\nEpoch 1: val_loss improved from None to 4.00000, saving model to /best/best_model',
    '\nEpoch 2: val_loss improved from 4.00000 to 3.00000, saving model to /best/best_model',
    '\nEpoch 3: val_loss did not improve from 3.00000',
    '\nEpoch 4: val_loss improved from 3.00000 to 2.00000, saving model to /best/best_model',
    '\nEpoch 5: val_loss did not improve from 2.00000',
    '\nEpoch 6: val_loss did not improve from 2.00000',
    '\nEpoch 6: ReduceLROnPlateau reducing learning rate to 0.005.',
    '\nEpoch 7: val_loss did not improve from 2.00000',
    'Epoch 7: early stopping',
    'Restoring model weights from the end of the best epoch: 4.',
  ]);
  const names = (from: string) => readdirSync(from).filter((name) => /^(checkpoint|best_model\.)/.test(name));
  expect([names(best), names(periodic).length, names(top).map((name) => name.slice(0, 20))]).toEqual([
    ['best_model.3'],
    3,
    ['checkpoint_epoch0004', 'checkpoint_epoch0005'],
  ]);
});
