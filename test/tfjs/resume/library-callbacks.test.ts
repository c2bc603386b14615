/** Callbacks of this library in a fit that goes on: made in the call itself, as Keras users write it, with plain objects among them. */
import path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, test } from 'vitest';
import { BackupAndRestore, EarlyStopping, installRandom, loadModel, ModelCheckpoint, TrainingState } from '../../../src/tfjs/index.js';
import { freshDirectory } from '../../helpers/directory.js';
import { collectWarnings } from '../../helpers/experiment.js';
import { openManager } from '../../helpers/manager.js';
import { Interruption } from '../../helpers/resumed.js';
import { alive, weightsOf } from '../../helpers/tfjs.js';

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

/** A process that is killed behind so many batches of 8, or is not. */
async function trained(directory: string, killedBehind: number, make: () => object[]): Promise<object[]> {
  const random = installRandom('both');
  const model = tf.sequential({ layers: [tf.layers.dense({ name: 'head', units: 1, inputShape: [2] })] });
  model.compile({ optimizer: 'adam', loss: 'meanSquaredError' });
  let batches = 0;
  const callbacks = make();
  const killer = { onBatchEnd: () => (++batches === killedBehind ? Promise.reject(new Interruption()) : undefined) };
  const backup = new BackupAndRestore(directory, { model, saveFreq: 1, async: false });
  const all = [...callbacks, backup, killer] as tf.CustomCallbackArgs[];
  try {
    await model.fit(tf.ones([4, 2]), tf.ones([4, 1]), { epochs: 4, batchSize: 2, verbose: 0, callbacks: all });
  } catch (error) {
    if (!(error instanceof Interruption)) throw error;
  } finally {
    random.uninstall();
  }
  return callbacks;
}

test.each([3, 4, 5])('a TrainingState knows all epochs when the fit goes on behind batch %i', async (killedBehind) => {
  const make = () => [new TrainingState(), new EarlyStopping({ monitor: 'loss', patience: 9 })];
  const [straight] = (await trained(path.join(freshDirectory(), 'backup'), 0, make)) as [TrainingState];
  const directory = path.join(freshDirectory(), 'backup');
  await trained(directory, killedBehind, make);
  const [resumed] = (await trained(directory, 0, make)) as [TrainingState];
  expect(resumed.epochs).toEqual([0, 1, 2, 3]);
  expect(resumed.toJSON()).toEqual(straight.toJSON());
});

test('callbacks of one name are told apart by their order when the fit goes on', async () => {
  const make = () => [2, 50].map((patience) => new EarlyStopping({ monitor: 'loss', patience, minDelta: patience }));
  const straight = (await trained(path.join(freshDirectory(), 'backup'), 0, make)) as EarlyStopping[];
  const directory = path.join(freshDirectory(), 'backup');
  await trained(directory, 5, make);
  const resumed = (await trained(directory, 0, make)) as EarlyStopping[];
  expect(resumed.map((each) => each.getState())).toEqual(straight.map((each) => each.getState()));
  expect(straight[0]?.stoppedEpoch).toBe(2);
});

test('the next fit of a callback that went on in the last epoch begins anew', async () => {
  const directory = path.join(freshDirectory(), 'backup');
  const make = () => [new EarlyStopping({ monitor: 'loss', patience: 9 })];
  await trained(directory, 8, make);
  const [stopping] = (await trained(directory, 0, make)) as [EarlyStopping];
  const before = stopping.best as number;
  const model = sequential();
  model.compile({ optimizer: 'sgd', loss: 'meanSquaredError' });
  await model.fit(tf.ones([4, 2]), tf.fill([4, 1], 1e3), { verbose: 0, callbacks: stopping as unknown as tf.CustomCallbackArgs });
  expect(stopping.best).toBeGreaterThan(before);
});

/** A fit whose loss is least behind its first epoch, ended behind so many batches, or not; the weights that it ends with. */
async function worsening(directory: string, killedBehind: number): Promise<Record<string, string> | undefined> {
  const before = alive(tf);
  const random = installRandom('worse');
  const model = tf.sequential({ layers: [tf.layers.dense({ name: 'head', units: 1, inputShape: [2] })] });
  model.compile({ optimizer: 'adam', loss: 'meanSquaredError' });
  const stopping = new EarlyStopping({ monitor: 'falling', mode: 'max', patience: 9, restoreBestWeights: true });
  let batches = 0;
  const falling = { onEpochEnd: (epoch: number, logs?: tf.Logs) => void Object.assign(logs ?? {}, { falling: -epoch }) };
  const killer = { onBatchEnd: () => (++batches === killedBehind ? Promise.reject(new Interruption()) : undefined) };
  const callbacks = [falling, stopping, new BackupAndRestore(directory, { model, saveFreq: 1, async: false }), killer];
  const [x, y] = [tf.ones([4, 2]), tf.ones([4, 1])];
  try {
    await model.fit(x, y, { epochs: 4, batchSize: 2, verbose: 0, callbacks: callbacks as tf.CustomCallbackArgs[] });
    expect(stopping.bestEpoch).toBe(0);
    const weights = weightsOf(model);
    tf.dispose([x, y]);
    model.dispose();
    expect(alive(tf)).toEqual(before);
    return weights;
  } catch (error) {
    if (!(error instanceof Interruption)) throw error;
    return undefined;
  } finally {
    random.uninstall();
  }
}

// Behind the first batch of the second epoch, in the middle of a later one, and at its end.
test.each([3, 5, 6])('the best weights of a process that was killed behind batch %i are what training ends with', async (killedBehind) => {
  const warnings = collectWarnings();
  const straight = await worsening(path.join(freshDirectory(), 'backup'), 0);
  const directory = path.join(freshDirectory(), 'backup');
  expect(await worsening(directory, killedBehind)).toBeUndefined();
  const { model } = (await loadModel(directory, 'latest', { tf })) ?? {};
  expect(model?.optimizer.iterations).toBe(killedBehind - 1);
  model?.dispose();
  expect(await worsening(directory, 0)).toEqual(straight);
  expect(warnings).toEqual([]);
});
