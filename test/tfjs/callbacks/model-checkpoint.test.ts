/** ModelCheckpoint saves when, what and under which name Keras's would, and says so in its words. */
import { readdirSync, readlinkSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, test } from 'vitest';
import type { CheckpointInfo } from '../../../src/catalog/checkpoint.js';
import { CheckpointManager } from '../../../src/manager/manager.js';
import { keep } from '../../../src/policy/keep.js';
import { ModelCheckpoint, type ModelCheckpointOptions, restoreModel } from '../../../src/tfjs/index.js';
import { freshDirectory } from '../../helpers/directory.js';
import { rejection, thrown } from '../../helpers/errors.js';
import { collectWarnings } from '../../helpers/experiment.js';
import { openManager } from '../../helpers/manager.js';
import { alive, functionalModel, sequentialModel, weightsOf } from '../../helpers/tfjs.js';
import { data, fitScript, printed } from '../../helpers/tfjs-fit.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

/** Names of the checkpoints of a directory. */
function checkpoints(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
    .map(({ name }) => name)
    .sort();
}

async function listed(directory: string) {
  const manager = await CheckpointManager.open(directory, { readOnly: true });
  const entries: CheckpointInfo[] = [];
  for await (const entry of manager.list()) entries.push(entry);
  await manager.close();
  return entries.map(({ name, step, epoch, metrics, contents, tags }) => ({ name, step, epoch, metrics, contents, tags }));
}

describe('every epoch', () => {
  test('is saved under its name, counted from 1, and training goes on from it', async () => {
    const directory = freshDirectory();
    const model = sequentialModel(tf, 'adam');
    const lines = printed();
    const file = path.join(directory, 'e{epoch:02d}-{val_loss:.2f}');
    await fitScript(tf, model, { val_loss: [0.5, 0.25] }, new ModelCheckpoint(file, { verbose: 1 }));
    expect(checkpoints(directory)).toEqual(['e01-0.50', 'e02-0.25']);
    expect(lines).toEqual([
      `\nEpoch 1: saving model to ${path.join(directory, 'e01-0.50')}`,
      `\nEpoch 2: saving model to ${path.join(directory, 'e02-0.25')}`,
    ]);
    const manager = await openManager(directory);
    const other = sequentialModel(tf, 'adam');
    const restored = await restoreModel(manager, other);
    expect(restored).toMatchObject({ step: 6, epoch: 2, initialEpoch: 2, optimizerRestored: true });
    expect(restored?.metrics).toMatchObject({ val_loss: 0.25, loss: expect.any(Number), acc: expect.any(Number) });
    expect(weightsOf(other)).toEqual(weightsOf(model));
  });

  test('of a Sequential is saved as one, though tfjs trains a model inside of it', async () => {
    const directory = freshDirectory();
    await fitScript(tf, sequentialModel(tf, 'sgd'), { val_loss: [1] }, new ModelCheckpoint({ directory }));
    const manager = await openManager(directory);
    const restored = await manager.restore();
    const json = JSON.parse(new TextDecoder().decode(restored?.attachments.get('model.json'))) as { modelTopology: { class_name: string } };
    expect(json.modelTopology.class_name).toBe('Sequential');
  });

  test('everything stays, as in Keras, unless keep says otherwise', async () => {
    const values = [7, 6, 5, 4, 3, 2, 1];
    const [all, some] = [freshDirectory(), freshDirectory()];
    await fitScript(tf, functionalModel(tf, 'sgd'), { val_loss: values }, [
      new ModelCheckpoint(path.join(all, '{epoch}')),
      new ModelCheckpoint(path.join(some, '{epoch}'), { keep: keep.last(2) }),
    ]);
    expect(checkpoints(all)).toHaveLength(7);
    expect(checkpoints(some)).toEqual(['6', '7']);
  });

  test('weights alone, without the optimizer', async () => {
    const directory = freshDirectory();
    const warnings = collectWarnings();
    const file = path.join(directory, 'w{epoch}.weights.h5');
    await fitScript(tf, sequentialModel(tf, 'adam'), { val_loss: [1] }, new ModelCheckpoint(file, { saveWeightsOnly: true }));
    expect(await listed(directory)).toMatchObject([{ name: 'w1', contents: 'weights' }]);
    expect(warnings.map(({ message }) => message)).toEqual([
      expect.stringContaining(`${file} becomes ${path.join(directory, 'w{epoch}')}`),
    ]);
  });
});

describe('a name without fields', () => {
  test('is a link that moves from one checkpoint to the next, and others of the directory stay', async () => {
    const directory = freshDirectory();
    const manager = await openManager(directory);
    await manager.save({ step: 0, tensors: [{ name: 'x', dtype: 'U8', shape: [1], data: new Uint8Array(1) }], contents: 'weights' });
    await fitScript(tf, sequentialModel(tf, 'sgd'), { val_loss: [3, 2, 1] }, new ModelCheckpoint(path.join(directory, 'newest')));
    expect(checkpoints(directory)).toEqual(['checkpoint_step00000000', 'newest.4']);
    expect(readlinkSync(path.join(directory, 'newest'))).toBe('newest.4');
  });

  test('best is what the directory itself calls a link, so another name is taken', async () => {
    const directory = freshDirectory();
    await fitScript(
      tf,
      sequentialModel(tf, 'sgd'),
      { val_loss: [3, 2] },
      new ModelCheckpoint(path.join(directory, 'best'), { saveBestOnly: true }),
    );
    expect(readlinkSync(path.join(directory, 'best'))).toBe('best_model.2');
  });
});

test('a name that is taken is not written over, and a warning says so once for a fit, since the message has the name that was asked for', async () => {
  const directory = freshDirectory();
  const trainAnew = () =>
    fitScript(tf, sequentialModel(tf, 'sgd'), { val_loss: [3, 2] }, new ModelCheckpoint(path.join(directory, 'e{epoch}')));
  const warnings = collectWarnings();
  await trainAnew();
  await new Promise(setImmediate);
  expect(warnings).toEqual([]);
  await trainAnew();
  await new Promise(setImmediate);
  expect(checkpoints(directory)).toEqual(['e1', 'e1.r3', 'e2', 'e2.r4']);
  const wanted = path.join(directory, 'e1');
  expect(warnings.map(({ message }) => message)).toEqual([expect.stringContaining(`${wanted} is there already, and is not written over`)]);
});

describe('saveBestOnly', () => {
  const options: ModelCheckpointOptions = { monitor: 'val_accuracy', saveBestOnly: true, verbose: 1 };

  test('saves what is better, and says it as Keras does', async () => {
    const directory = freshDirectory();
    const lines = printed();
    const file = path.join(directory, 'best_model');
    const callback = new ModelCheckpoint(file, options);
    await fitScript(tf, sequentialModel(tf, 'sgd'), { val_accuracy: [0.85, 0.8, 0.87] }, callback);
    expect(lines).toEqual([
      `\nEpoch 1: val_accuracy improved from None to 0.85000, saving model to ${file}`,
      '\nEpoch 2: val_accuracy did not improve from 0.85000',
      `\nEpoch 3: val_accuracy improved from 0.85000 to 0.87000, saving model to ${file}`,
    ]);
    expect(callback.best).toBe(0.87);
    expect(await listed(directory)).toMatchObject([
      { name: 'best_model.2', epoch: 3, metrics: { val_accuracy: 0.87 }, tags: ['best_model'] },
    ]);
  });

  test('knows the best of earlier processes, and only that of its own name', async () => {
    const directory = freshDirectory();
    const file = path.join(directory, 'best_model');
    await fitScript(tf, sequentialModel(tf, 'sgd'), { val_accuracy: [0.85] }, [
      new ModelCheckpoint(file, { ...options, verbose: 0 }),
      new ModelCheckpoint(path.join(directory, 'other-{epoch}'), {}),
    ]);
    await fitScript(tf, sequentialModel(tf, 'sgd'), { val_accuracy: [0.95] }, new ModelCheckpoint(path.join(directory, 'other-{epoch}')));
    const lines = printed();
    await fitScript(tf, sequentialModel(tf, 'sgd'), { val_accuracy: [0.8, 0.9] }, new ModelCheckpoint(file, options));
    expect(lines).toEqual([
      '\nEpoch 1: val_accuracy did not improve from 0.85000',
      `\nEpoch 2: val_accuracy improved from 0.85000 to 0.90000, saving model to ${file}`,
    ]);
  });

  test('NaN never wins and never blocks, and a threshold has to be beaten', async () => {
    const lines = printed();
    const file = path.join(freshDirectory(), 'best_model');
    const callback = new ModelCheckpoint(file, { saveBestOnly: true, verbose: 1, initialValueThreshold: 0.5 });
    await fitScript(tf, sequentialModel(tf, 'sgd'), { val_loss: [Number.NaN, 0.6, Number.NEGATIVE_INFINITY, 0.4] }, callback);
    expect(lines).toEqual([
      '\nEpoch 1: val_loss did not improve from 0.50000',
      '\nEpoch 2: val_loss did not improve from 0.50000',
      '\nEpoch 3: val_loss did not improve from 0.50000',
      `\nEpoch 4: val_loss improved from 0.50000 to 0.40000, saving model to ${file}`,
    ]);
  });

  test('without the metric nothing is saved, and a warning says once what there is', async () => {
    const directory = freshDirectory();
    const warnings = collectWarnings();
    const model = sequentialModel(tf, 'sgd');
    await fitScript(tf, model, { loss: [1, 1] }, new ModelCheckpoint({ directory, saveBestOnly: true, monitor: 'val_f1' }));
    expect(checkpoints(directory)).toEqual([]);
    expect(warnings.map(({ message }) => message)).toEqual([
      'ModelCheckpoint: Can save best model only with val_f1 available, skipping. Available are: loss, acc.',
    ]);
  });

  test("tfjs's acc is Keras's accuracy", async () => {
    const directory = freshDirectory();
    const { x, y } = data(tf);
    const file = path.join(directory, 'a{val_accuracy:.3f}');
    const callbacks = new ModelCheckpoint(file, { ...options, verbose: 0 });
    const { history } = await sequentialModel(tf, 'sgd').fit(x, y, { verbose: 0, validationData: [x, y], epochs: 1, callbacks });
    const value = history['val_acc']?.[0] as number;
    expect(await listed(directory)).toMatchObject([{ name: `a${value.toFixed(3)}`, metrics: { val_accuracy: value, val_acc: value } }]);
  });
});

describe('saveFreq in batches', () => {
  test('counts over the ends of epochs, as Keras does', async () => {
    const directory = freshDirectory();
    await fitScript(
      tf,
      sequentialModel(tf, 'adam'),
      { val_loss: [3, 2, 1] },
      new ModelCheckpoint(path.join(directory, '{epoch}-{batch}'), { saveFreq: 2 }),
    );
    expect((await listed(directory)).map(({ name, step, epoch }) => [name, step, epoch])).toEqual([
      ['1-2', 2, 0],
      ['2-1', 4, 1],
      ['2-3', 6, 1],
      ['3-2', 8, 2],
    ]);
  });
});

test('state goes on in another process: the best, and how many batches were not saved', async () => {
  const directory = freshDirectory();
  const options: ModelCheckpointOptions = { saveFreq: 4, monitor: 'loss', saveBestOnly: true };
  const first = new ModelCheckpoint(path.join(directory, '{epoch}-{batch}'), options);
  await fitScript(tf, sequentialModel(tf, 'sgd'), { val_loss: [1] }, first);
  const second = new ModelCheckpoint(path.join(directory, '{epoch}-{batch}'), options);
  second.setState(JSON.parse(JSON.stringify(first.getState())));
  await fitScript(tf, sequentialModel(tf, 'sgd'), { val_loss: [1] }, second);
  expect(checkpoints(directory)).toEqual(['1-1']);
  expect(second.getState()).toEqual({ best: second.best, batchesSinceSave: 2 });
  expect(second.stateName).toBe(first.stateName);
  thrown(() => second.setState({ best: 'x', batchesSinceSave: 0 }), 'ERR_STATE');
});

describe('failures', () => {
  test('a request that cannot be saved rejects the fit, and the directory is free again', async () => {
    const directory = freshDirectory();
    const model = sequentialModel(tf, 'sgd');
    const broken = new ModelCheckpoint({ directory, rng: () => Number.NaN });
    await rejection(fitScript(tf, model, { val_loss: [1] }, broken), 'ERR_INVALID_STATE');
    await fitScript(tf, model, { val_loss: [1] }, new ModelCheckpoint({ directory }));
    expect(checkpoints(directory)).toHaveLength(1);
  });

  test('a save that fails in the background rejects the fit before long', async () => {
    const directory = path.join(freshDirectory(), 'gone');
    const epochs: number[] = [];
    const takeAway = {
      onEpochBegin(epoch: number) {
        epochs.push(epoch);
        if (epoch === 1) rmSync(directory, { recursive: true });
      },
    };
    const fit = fitScript(tf, sequentialModel(tf, 'sgd'), { val_loss: Array.from({ length: 50 }, () => 1) }, [
      takeAway,
      new ModelCheckpoint({ directory }),
    ]);
    await rejection(fit, 'ERR_NOT_FOUND');
    expect(epochs.length).toBeLessThan(50);
  });

  /** Takes the directory away when training has begun. */
  function takenAway(directory: string) {
    const epochs: number[] = [];
    const callback = {
      async onEpochBegin(epoch: number) {
        epochs.push(epoch);
        if (epoch === 0) rmSync(directory, { recursive: true });
        // Saves in the background get on.
        await setTimeout(5);
      },
    };
    return { epochs, callback };
  }

  test('the only save of a fit that fails rejects it: at its end, or before long', async () => {
    const directory = path.join(freshDirectory(), 'gone');
    const once = () => new ModelCheckpoint({ directory, saveBestOnly: true });
    const short = fitScript(tf, sequentialModel(tf, 'sgd'), { val_loss: [1] }, [takenAway(directory).callback, once()]);
    await rejection(short, 'ERR_NOT_FOUND');
    const { epochs, callback } = takenAway(directory);
    const values = Array.from({ length: 100 }, (_, i) => i);
    await rejection(fitScript(tf, sequentialModel(tf, 'sgd'), { val_loss: values }, [callback, once()]), 'ERR_NOT_FOUND');
    expect(epochs.length).toBeLessThan(100);
  });

  test('with async: false training waits for every save, and a save that fails rejects the fit at once', async () => {
    const directory = path.join(freshDirectory(), 'there');
    const counts: number[] = [];
    const look = { onEpochEnd: () => void counts.push(checkpoints(directory).length) };
    const waiting = () => new ModelCheckpoint({ directory, async: false });
    await fitScript(tf, sequentialModel(tf, 'sgd'), { val_loss: [2, 1] }, [waiting(), look]);
    expect(counts).toEqual([1, 2]);
    const { epochs, callback } = takenAway(directory);
    await rejection(fitScript(tf, sequentialModel(tf, 'sgd'), { val_loss: [2, 1] }, [callback, waiting()]), 'ERR_NOT_FOUND');
    expect(epochs).toEqual([0]);
  });

  test('a fit that fails has not lost what was accepted before, and has given the directory up', async () => {
    const directory = freshDirectory();
    const fit = fitScript(tf, sequentialModel(tf, 'sgd'), { val_loss: [2, 1] }, [
      new ModelCheckpoint({ directory }),
      {
        onEpochEnd: (epoch: number) => {
          if (epoch === 1) throw new Error('out of patience');
        },
      },
    ]);
    await expect(fit).rejects.toThrow('out of patience');
    expect(await listed(directory)).toMatchObject([{ epoch: 1 }, { epoch: 2 }]);
    await (await CheckpointManager.open(directory)).close();
  });

  test('what cannot be meant is refused at once', () => {
    const refusals: [() => unknown, string][] = [
      [() => new ModelCheckpoint('m', { save_best_only: true } as object), 'Did you mean "saveBestOnly"?'],
      [() => new ModelCheckpoint('m', { moniter: 'loss' } as object), 'Did you mean "monitor"?'],
    ];
    for (const [call, message] of refusals) expect(thrown(call, 'ERR_UNKNOWN_OPTION').message).toContain(message);
    for (const call of [
      () => new ModelCheckpoint('m.weights.h5'),
      () => new ModelCheckpoint(''),
      () => new ModelCheckpoint({} as { filepath: string }),
      () => new ModelCheckpoint('m', { saveFreq: 0 }),
      () => new ModelCheckpoint('m', { mode: 'best' as 'min' }),
      () => new ModelCheckpoint('m', { verbose: 'yes' as unknown as 1 }),
      () => new ModelCheckpoint('m', { model: {} as tf.LayersModel }),
    ]) {
      thrown(call, 'ERR_INVALID_ARGUMENT');
    }
    thrown(() => new ModelCheckpoint('runs/{epoch}/model'), 'ERR_INVALID_TEMPLATE');
    thrown(() => new ModelCheckpoint('runs/'), 'ERR_INVALID_NAME');
  });

  test('a metric that a name needs and the logs have not', async () => {
    const file = path.join(freshDirectory(), '{val_loss:.2f}');
    await rejection(fitScript(tf, sequentialModel(tf, 'sgd'), { loss: [1] }, new ModelCheckpoint(file)), 'ERR_INVALID_TEMPLATE');
  });
});

test('a manager that the caller opened is used as it is, and stays open', async () => {
  const manager = await openManager(freshDirectory(), { name: 'mine-{epoch}', keep: keep.last(1) });
  await fitScript(tf, sequentialModel(tf, 'sgd'), { val_loss: [3, 2, 1] }, new ModelCheckpoint({ manager }));
  expect(checkpoints(manager.directory)).toEqual(['mine-3']);
  expect((await manager.restore())?.step).toBe(9);
});

test('no tensor is left, after fits that end well and fits that fail', async () => {
  const directory = freshDirectory();
  const model = sequentialModel(tf, 'adam');
  await fitScript(tf, model, { val_loss: [1] }, []);
  const before = alive(tf);
  const callback = new ModelCheckpoint({ directory });
  await fitScript(tf, model, { val_loss: [3, 2, 1] }, callback);
  const failing = { onEpochEnd: () => Promise.reject(new Error('no')) };
  await fitScript(tf, model, { val_loss: [1] }, []);
  const leakOfTfjs = alive(tf).numTensors;
  await fitScript(tf, model, { val_loss: [3, 2, 1] }, [callback, failing]).catch(() => {});
  const leakOfFailure = alive(tf).numTensors - leakOfTfjs;
  await fitScript(tf, model, { val_loss: [3, 2, 1] }, failing).catch(() => {});
  expect(leakOfTfjs).toBe(before.numTensors);
  expect(alive(tf).numTensors - leakOfTfjs - leakOfFailure).toBe(leakOfFailure);
});
