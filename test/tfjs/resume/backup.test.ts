/** BackupAndRestore: a stock fit that goes on where it was when it is called again. */
import { existsSync, mkdirSync, readdirSync, statfsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { every, type Json } from '../../../src/index.js';
import { BackupAndRestore, type BackupAndRestoreOptions, installRandom, resumable } from '../../../src/tfjs/index.js';
import { freshDirectory } from '../../helpers/directory.js';
import { rejection, thrown } from '../../helpers/errors.js';
import { collectWarnings } from '../../helpers/experiment.js';
import { CAN_MOUNT, mountTmpfs } from '../../helpers/mounts.js';
import { arraysOf, buildDense, Interruption, recorder, rowsOf, SAMPLES } from '../../helpers/resumed.js';
import { alive, optimizerOf, weightsOf } from '../../helpers/tfjs.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

interface Given {
  readonly options?: Omit<BackupAndRestoreOptions, 'model'>;
  readonly interrupt?: Parameters<typeof recorder>[2];
  readonly args?: tf.ModelFitArgs;
  readonly others?: (model: tf.LayersModel) => object[];
  readonly train?: (model: tf.LayersModel, callbacks: object[]) => Promise<tf.History>;
}

/** As a process would do it: the model built anew, then one stock call of fit. Without a directory, without the callback. */
async function attempt(
  directory: string | undefined,
  { options, interrupt, args, others = () => [], train = fitArrays(args) }: Given = {},
) {
  const random = installRandom('the seed');
  const model = buildDense(tf);
  const losses = new Map<number, number>();
  try {
    const backup = directory === undefined ? [] : [new BackupAndRestore(directory, { model, ...options })];
    const { history, epoch } = await train(model, [recorder(0, losses, interrupt), ...others(model), ...backup]);
    return { history, epoch, weights: weightsOf(model), optimizer: optimizerOf(model), trained: losses.size, next: random.next() };
  } catch (error) {
    if (error instanceof Interruption) return undefined;
    throw error;
  } finally {
    random.uninstall();
    model.optimizer.dispose();
    model.dispose();
  }
}

function fitArrays(args: tf.ModelFitArgs = {}): NonNullable<Given['train']> {
  return async (model, callbacks) => {
    const [x, y] = arraysOf(tf, SAMPLES);
    try {
      return await model.fit(x, y, { epochs: 3, batchSize: 3, verbose: 0, callbacks: callbacks as tf.CustomCallbackArgs[], ...args });
    } finally {
      tf.dispose([x, y]);
    }
  };
}

const fitDataset: NonNullable<Given['train']> = (model, callbacks) => {
  const rows = tf.data.array(rowsOf(SAMPLES)).map((row) => {
    const { xs, ys } = row as unknown as { xs: number[]; ys: number[] };
    return { xs: tf.tensor1d(xs), ys: tf.tensor1d(ys) };
  });
  return model.fitDataset(rows.shuffle(5, 'order').batch(3), { epochs: 3, verbose: 0, callbacks: callbacks as tf.CustomCallbackArgs[] });
};

/** How much of it was trained in the last call does not matter. */
function comparable(outcome: Awaited<ReturnType<typeof attempt>>) {
  const { trained: _, ...rest } = outcome as NonNullable<typeof outcome>;
  return rest;
}

describe('a fit that was interrupted', () => {
  test.each([
    ['with a backup of every epoch', {}, 4],
    ['with a backup of every batch', { saveFreq: 1 }, 6],
    ['with one every four batches', { saveFreq: 4 }, 4],
    ['with a trigger', { saveFreq: every.steps(5) }, 5],
    ['while training waits for every backup', { saveFreq: 1, async: false }, 6],
  ] as const)('gives every bit that it would have given, %s', async (_, options, from) => {
    const whole = await attempt(undefined);
    const directory = path.join(freshDirectory(), 'backup');
    expect(await attempt(directory, { options, interrupt: { step: 6, at: 'begin' } })).toBeUndefined();
    expect(existsSync(directory)).toBe(true);
    const resumed = await attempt(directory, { options });
    expect(resumed?.trained).toBe(12 - from);
    expect(comparable(resumed)).toEqual(comparable(whole));
    expect(existsSync(directory)).toBe(false);
  });

  test('of a dataset, too', async () => {
    const whole = await attempt(undefined, { train: fitDataset });
    const directory = path.join(freshDirectory(), 'backup');
    expect(await attempt(directory, { train: fitDataset, interrupt: { step: 5, at: 'end' }, options: { saveFreq: 3 } })).toBeUndefined();
    const resumed = await attempt(directory, { train: fitDataset, options: { saveFreq: 3 } });
    expect(resumed?.trained).toBe(9);
    expect(comparable(resumed)).toEqual(comparable(whole));
    expect(existsSync(directory)).toBe(false);
  });

  test('goes on with the other callbacks of the fit, their state included, in any order', async () => {
    class Waits {
      readonly stateName = 'waits';
      epochs = 0;
      onEpochEnd = async () => void this.epochs++;
      getState = (): Json => this.epochs;
      setState = (state: Json) => {
        this.epochs = state as number;
      };
    }
    const directory = path.join(freshDirectory(), 'backup');
    const waits = new Waits();
    await attempt(directory, { others: () => [new Waits()], interrupt: { step: 9, at: 'begin' } });
    await attempt(directory, { others: () => [waits] });
    expect(waits.epochs).toBe(3);
  });

  test('without installRandom it is exact in itself: what is drawn follows from a seed that is saved', async () => {
    const original = Math.random;
    const directory = freshDirectory();
    const model = buildDense(tf);
    const initial = model.getWeights().map((weight) => weight.clone());
    const backup = new BackupAndRestore(directory, { model, seed: 'mine', deleteCheckpoint: false });
    const whole = await fitArrays()(model, [backup]);
    expect(Math.random).toBe(original);
    const again = buildDense(tf);
    again.setWeights(initial);
    const other = freshDirectory();
    const stopped = new BackupAndRestore(other, { model: again, seed: 'mine' });
    await expect(fitArrays()(again, [recorder(0, new Map(), { step: 5, at: 'end' }), stopped])).rejects.toBeInstanceOf(Interruption);
    expect(Math.random).toBe(original);
    const third = buildDense(tf);
    const { history } = await fitArrays()(third, [new BackupAndRestore(other, { model: third })]);
    expect(history).toEqual(whole.history);
    expect(weightsOf(third)).toEqual(weightsOf(model));
  });

  test('is refused with other settings, and the backup stays', async () => {
    const directory = freshDirectory();
    await attempt(directory, { interrupt: { step: 6, at: 'begin' } });
    const names = readdirSync(directory);
    const error = await rejection(attempt(directory, { args: { batchSize: 2 } }), 'ERR_RUN_MISMATCH');
    expect(error.message).toMatch(/batchSize was 3 and is 2/);
    expect(readdirSync(directory)).toEqual(names);
  });
});

/** As much as there is room for where `directory` is, but a little. */
function filler(directory: string): Uint8Array {
  const { bavail, bsize } = statfsSync(directory);
  return new Uint8Array((bavail - 2) * bsize);
}

describe('when the fit has come to its end', () => {
  test('the backup is deleted, and what else is in the directory is not', async () => {
    const directory = freshDirectory();
    mkdirSync(path.join(directory, 'mine'));
    writeFileSync(path.join(directory, 'notes.txt'), 'mine');
    expect(await attempt(directory)).toBeDefined();
    expect(readdirSync(directory).sort()).toEqual(['mine', 'notes.txt']);
  });

  test('a damaged backup goes, too: nobody needs it any more', async () => {
    const directory = path.join(freshDirectory(), 'backup');
    await attempt(directory, { interrupt: { step: 9, at: 'begin' } });
    const [first] = readdirSync(directory).filter((name) => name.startsWith('checkpoint'));
    writeFileSync(path.join(directory, first as string, 'manifest.json'), 'no');
    expect(await attempt(directory)).toMatchObject({ epoch: [0, 1, 2] });
    expect(existsSync(directory)).toBe(false);
  });

  test.runIf(CAN_MOUNT)('it is deleted though later backups of it failed, and a warning says that they did', async () => {
    const directory = path.join(mountTmpfs(3 << 18), 'backup');
    const warnings = collectWarnings();
    const others = () => [{ onEpochEnd: async (epoch: number) => epoch === 1 && writeFileSync(`${directory}/../fill`, filler(directory)) }];
    expect(await attempt(directory, { others })).toMatchObject({ epoch: [0, 1, 2] });
    await new Promise(setImmediate);
    expect(existsSync(directory)).toBe(false);
    expect(warnings.map(({ message }) => message)).toEqual([
      expect.stringMatching(/The fit is over; not every backup .* was saved: .* does not fit/),
    ]);
  });

  test('it stays with deleteCheckpoint: false, and the next call returns what was trained', async () => {
    const warnings = collectWarnings();
    const directory = freshDirectory();
    const options = { deleteCheckpoint: false };
    const first = await attempt(directory, { options });
    const second = await attempt(directory, { options });
    expect(second?.trained).toBe(0);
    expect(comparable(second)).toEqual(comparable(first));
    await new Promise(setImmediate);
    expect(warnings.map(({ message }) => message)).toEqual([expect.stringMatching(/Fit 1 of the run was over after 3 epochs/)]);
  });

  test('the same callback serves for another fit', async () => {
    const directory = path.join(freshDirectory(), 'backup');
    const model = buildDense(tf);
    const backup = new BackupAndRestore(directory, { model });
    expect((await fitArrays()(model, [backup])).epoch).toEqual([0, 1, 2]);
    expect((await fitArrays()(model, [backup])).epoch).toEqual([0, 1, 2]);
    expect(existsSync(directory)).toBe(false);
  });

  test('a model that is not fitted with it is as it was', async () => {
    const model = buildDense(tf);
    const directory = path.join(freshDirectory(), 'backup');
    new BackupAndRestore(directory, { model });
    expect((await fitArrays()(model, [])).epoch).toEqual([0, 1, 2]);
    expect((await fitDataset(model, [])).epoch).toEqual([0, 1, 2]);
    expect(existsSync(directory)).toBe(false);
    expect(Object.hasOwn(model, 'makeTrainFunction')).toBe(false);
  });

  test('nothing is left of it in memory', async () => {
    const before = alive(tf);
    await attempt(path.join(freshDirectory(), 'backup'), { options: { saveFreq: 2 } });
    expect(alive(tf)).toEqual(before);
  });
});

describe('misuse', () => {
  test('a fit of another model is refused before it trains', async () => {
    const [model, other] = [buildDense(tf), buildDense(tf)];
    const backup = new BackupAndRestore(freshDirectory(), { model });
    const before = weightsOf(other);
    await rejection(fitArrays()(other, [backup]), 'ERR_INVALID_ARGUMENT');
    await rejection(fitArrays()(other, [tf.callbacks.earlyStopping(), backup]), 'ERR_INVALID_ARGUMENT');
    expect(weightsOf(other)).toEqual(before);
  });

  test('two of them, and one in a fit of resumable', async () => {
    const model = buildDense(tf);
    const backups = [1, 2].map(() => new BackupAndRestore(freshDirectory(), { model }));
    await rejection(fitArrays()(model, backups), 'ERR_INVALID_ARGUMENT');
    const run = await resumable(model, { directory: freshDirectory() });
    onTestFinished(() => run.close());
    const [x, y] = arraysOf(tf, SAMPLES);
    const callbacks = [backups[0] as object];
    await rejection(run.fit(x, y, { verbose: 0, callbacks }), 'ERR_INVALID_ARGUMENT');
  });

  test.each([
    ['', {}, /needs a path/],
    ['a', { model: undefined }, /needs the model/],
    ['a', { saveFreq: 'batch' }, /saveFreq/],
    ['a', { saveFreq: 'trigger' }, /trigger itself/],
    ['a', { deleteCheckpoint: 1 }, /deleteCheckpoint/],
  ])('%j, %j', (directory, options, message) => {
    const all = { model: buildDense(tf), ...options } as never;
    expect(thrown(() => new BackupAndRestore(directory, all), 'ERR_INVALID_ARGUMENT').message).toMatch(message);
  });

  test('a misspelled option', () => {
    const options = { model: buildDense(tf), save_freq: 3 };
    thrown(() => new BackupAndRestore('a', options), 'ERR_UNKNOWN_OPTION');
  });
});
