/** A fit that is interrupted anywhere gives, when it has gone on, every bit that it gives without. */
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, test } from 'vitest';
import { freshDirectory } from '../../helpers/directory.js';
import { collectWarnings } from '../../helpers/experiment.js';
import {
  type Attempt,
  arraysOf,
  attempt,
  buildDense,
  comparable,
  Interruption,
  type Outcome,
  recorder,
  rowsOf,
  SAMPLES,
  trainArrays,
} from '../../helpers/resumed.js';
import { alive } from '../../helpers/tfjs.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

type Case = Omit<Attempt, 'directory' | 'interrupt'>;

async function straight(what: Case): Promise<Outcome> {
  return (await attempt(tf, { ...what, directory: freshDirectory() })) as Outcome;
}

/** Interrupts at each of the places in turn, goes on, and compares. */
async function expectExact(what: Case, places: readonly NonNullable<Attempt['interrupt']>[], resumedAt?: readonly number[]): Promise<void> {
  const whole = await straight(what);
  for (const [i, interrupt] of places.entries()) {
    const directory = freshDirectory();
    expect(await attempt(tf, { ...what, directory, interrupt })).toBeUndefined();
    const resumed = (await attempt(tf, { ...what, directory })) as Outcome;
    if (resumedAt !== undefined) expect(resumed.resumedAt).toBe(resumedAt[i]);
    expect(comparable(resumed, resumed.resumedAt), JSON.stringify(interrupt)).toEqual(comparable(whole, resumed.resumedAt));
  }
}

function at(steps: readonly number[], place: 'begin' | 'end' | 'epoch' = 'end'): NonNullable<Attempt['interrupt']>[] {
  return steps.map((step) => ({ step, at: place }));
}

const EVERY_STEP = Array.from({ length: 12 }, (_, step) => step);

describe('fit', () => {
  test('goes on at the exact batch, wherever it was interrupted', async () => {
    // Behind the save of the step before.
    await expectExact({ options: { saveFreq: 1 } }, at(EVERY_STEP, 'begin'), EVERY_STEP);
  });

  test('goes on from the last batch that was saved, or from the begin', async () => {
    await expectExact({ options: { saveFreq: 3 } }, at([1, 4, 7, 8, 11]), [0, 3, 6, 6, 9]);
  });

  test('goes on from the end of the epoch, by default', async () => {
    await expectExact({}, [...at([2, 5, 9]), ...at([4, 8], 'epoch')], [0, 4, 8, 4, 8]);
  });

  test.each([
    ['without shuffling', { shuffle: false }],
    ['with validation data', { validationData: undefined }],
    ['with a validation split', { validationSplit: 0.2 }],
    ['from a later epoch', { initialEpoch: 1, epochs: 4 }],
    ['with class weights', { classWeight: { 0: 1, 1: 0.5, 2: 2 } }],
  ] as [string, tf.ModelFitArgs][])('%s', async (_, args) => {
    const [x, y] = arraysOf(tf, 5);
    const given = 'validationData' in args ? { validationData: [x, y] as [tf.Tensor, tf.Tensor] } : args;
    await expectExact({ options: { saveFreq: 2 }, train: trainArrays(tf, given) }, at([3, 8], 'begin'));
  });

  test('the same without saving in the background', async () => {
    await expectExact({ options: { saveFreq: 2, async: false } }, at([5, 8]), [4, 8]);
  });

  test('a resumable run trains as fit alone does with the same random numbers', async () => {
    const { installRandom } = await import('../../../src/tfjs/index.js');
    const random = installRandom('the seed');
    const model = buildDense(tf);
    const [x, y] = arraysOf(tf, SAMPLES);
    const { history } = await model.fit(x, y, { epochs: 3, batchSize: 3, verbose: 0 });
    random.uninstall();
    expect((await straight({})).history).toEqual(history);
  });

  test('nothing is left of it in memory that fit alone does not leave', async () => {
    const leaves = async (work: () => Promise<unknown>) => {
      const before = alive(tf).numTensors;
      await work();
      return alive(tf).numTensors - before;
    };
    const interrupt = { step: 6, at: 'end' } as const;
    const alone = await leaves(async () => {
      const model = buildDense(tf);
      const [x, y] = arraysOf(tf, SAMPLES);
      const fit = model.fit(x, y, { epochs: 3, batchSize: 3, verbose: 0, callbacks: recorder(0, new Map(), interrupt) });
      await expect(fit).rejects.toBeInstanceOf(Interruption);
      tf.dispose([x, y]);
      model.optimizer.dispose();
      model.dispose();
    });
    expect(alone).toBeGreaterThan(0);
    const directory = freshDirectory();
    const options = { saveFreq: 2 };
    expect(await leaves(() => attempt(tf, { directory, options, interrupt }))).toBe(alone);
    expect(await leaves(() => attempt(tf, { directory, options }))).toBe(0);
  });
});

type Rows = { xs: number[]; ys: number[] }[];

function datasetOf(rows: Rows, seed: string): tf.data.Dataset<{ xs: tf.Tensor; ys: tf.Tensor }> {
  const noisy = ({ xs, ys }: Rows[number]) => ({
    xs: tf.tidy(() => tf.tensor1d(xs).add(tf.randomNormal([xs.length]))),
    ys: tf.tensor1d(ys),
  });
  const data = tf.data.array(rows).map(noisy as never) as unknown as tf.data.Dataset<{ xs: tf.Tensor; ys: tf.Tensor }>;
  return data.shuffle(5, seed).batch(3) as typeof data;
}

function trainDataset(
  args: Partial<tf.ModelFitDatasetArgs<tf.TensorContainer>> = {},
  makes = () => datasetOf(rowsOf(SAMPLES), 'order'),
): NonNullable<Attempt['train']> {
  return (run, callbacks) => run.fitDataset(makes(), { epochs: 3, verbose: 0, callbacks, ...args });
}

describe('fitDataset', () => {
  const options = { saveFreq: 1 };

  test('a dataset with a seeded shuffle and noise of its own', async () => {
    const warnings = collectWarnings();
    await expectExact({ options, train: trainDataset() }, at([1, 3, 4, 7], 'begin'), [1, 3, 4, 7]);
    await expectExact({ train: trainDataset() }, at([6, 9]), [4, 8]);
    expect(warnings).toEqual([]);
  });

  test('a function that makes the dataset of an epoch', async () => {
    const train: Attempt['train'] = (run, callbacks) =>
      run.fitDataset(({ epoch, seed }) => datasetOf(rowsOf(SAMPLES + 3 * epoch), seed), { epochs: 3, verbose: 0, callbacks });
    await expectExact({ options, train }, at([4, 7], 'begin'), [4, 7]);
  });

  test('one iterator for all epochs', async () => {
    const train = trainDataset({ batchesPerEpoch: 3 }, () => datasetOf(rowsOf(SAMPLES), 'order').repeat() as never);
    await expectExact({ options, train }, at([3, 8], 'begin'), [3, 8]);
  });

  test('a function and a number of batches', async () => {
    const train: Attempt['train'] = (run, callbacks) =>
      run.fitDataset(({ seed }) => datasetOf(rowsOf(SAMPLES), seed), { epochs: 3, batchesPerEpoch: 2, verbose: 0, callbacks });
    await expectExact({ options, train }, at([2, 5], 'begin'), [2, 5]);
  });

  test('validation with a shuffled dataset of which a part is looked at', async () => {
    const train: Attempt['train'] = (run, callbacks) => {
      const validationData = datasetOf(rowsOf(9), 'validation') as never;
      return run.fitDataset(datasetOf(rowsOf(SAMPLES), 'order'), {
        epochs: 3,
        verbose: 0,
        callbacks,
        validationData,
        validationBatches: 2,
      });
    };
    await expectExact({ options, train }, at([4, 6], 'begin'));
  });

  test('items drawn ahead take their random numbers from the pipeline, not from training', async () => {
    const train = trainDataset({}, () => datasetOf(rowsOf(SAMPLES), 'order').prefetch(3) as never);
    await expectExact({ options, train }, at([6, 8], 'begin'));
  });

  test.each([
    ['in the middle of an epoch', { saveFreq: 1 }, 6],
    ['between two epochs', {}, 6],
  ])('an unseeded shuffle cannot be repeated, and that is said: %s', async (_, saving, step) => {
    const warnings = collectWarnings();
    // 4 batches of 11 rows out of 44, shuffled as a whole: small batches out of a small buffer are the same again once in a hundred.
    const train = trainDataset(
      {},
      () =>
        tf.data
          .array(rowsOf(4 * SAMPLES))
          .shuffle(4 * SAMPLES)
          .batch(SAMPLES) as never,
    );
    const directory = freshDirectory();
    await attempt(tf, { directory, options: saving, train, interrupt: { step, at: 'begin' } });
    await new Promise(setImmediate);
    expect(warnings).toEqual([]);
    expect(await attempt(tf, { directory, options: saving, train })).toMatchObject({ steps: 12 });
    await new Promise(setImmediate);
    expect(warnings.map(({ message }) => message)).toEqual([expect.stringMatching(/first batch of epoch \d is not what it was.*shuffle/)]);
  });
});
