/** Callbacks of this library in a fit that goes on: made in the call itself, as Keras users write it, with plain objects among them. */
import path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, test } from 'vitest';
import { BackupAndRestore, EarlyStopping, ModelCheckpoint, TrainingState } from '../../../src/tfjs/index.js';
import { freshDirectory } from '../../helpers/directory.js';
import { openManager } from '../../helpers/manager.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

function functional(): tf.LayersModel {
  const inputs = tf.input({ shape: [2] });
  return tf.model({ inputs, outputs: tf.layers.dense({ units: 1 }).apply(inputs) as tf.SymbolicTensor });
}

const sequential = () => tf.sequential({ layers: [tf.layers.dense({ units: 1, inputShape: [2] })] });

describe.each([
  ['a functional model', functional],
  ['a Sequential', sequential],
])('%s', (_, build) => {
  test('all take their part: what saves the state of others has it, and a plain object is given numbers', async () => {
    const directory = freshDirectory();
    const model = build();
    model.compile({ optimizer: 'adam', loss: 'meanSquaredError' });
    const [x, y] = [tf.ones([4, 2]), tf.ones([4, 1])];
    const seen: unknown[] = [];
    const trainingState = new TrainingState();
    await model.fit(x, y, {
      ...{ epochs: 2, batchSize: 2, verbose: 0 },
      callbacks: [
        new ModelCheckpoint(path.join(directory, 'kept', '{epoch}'), { trainingState }),
        new BackupAndRestore(path.join(directory, 'backup'), { model, saveFreq: 1 }),
        trainingState,
        new EarlyStopping({ monitor: 'loss', patience: 5, restoreBestWeights: true }),
        { onEpochEnd: (epoch, logs) => void seen.push(epoch, typeof logs?.['loss']) },
      ] as tf.CustomCallbackArgs[],
    });
    expect(seen).toEqual([0, 'number', 1, 'number']);
    const manager = await openManager(path.join(directory, 'kept'), { readOnly: true });
    const restored = await manager.restore<{ training: { epoch: number; callbacks: object } }>();
    expect(restored).toMatchObject({ step: 4, state: { training: { epoch: 2 } } });
    expect(Object.keys(restored?.state?.training.callbacks ?? {}).some((name) => name.startsWith('EarlyStopping'))).toBe(true);
  });

  test('a backup that was made for another model is refused', async () => {
    const [model, other] = [build(), build()];
    for (const each of [model, other]) each.compile({ optimizer: 'sgd', loss: 'meanSquaredError' });
    const backup = new BackupAndRestore(path.join(freshDirectory(), 'backup'), { model: other });
    await expect(
      model.fit(tf.ones([4, 2]), tf.ones([4, 1]), { verbose: 0, callbacks: [backup] as tf.CustomCallbackArgs[] }),
    ).rejects.toThrow('does not belong to the fit');
  });
});
