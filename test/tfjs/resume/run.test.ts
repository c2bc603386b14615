/** What else belongs to a run: callbacks and their state, stopping, several fits, and what cannot go on. */
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { every, type Json, keep } from '../../../src/index.js';
import { installRandom, type ResumableRun, resumable, saveModel } from '../../../src/tfjs/index.js';
import { freshDirectory } from '../../helpers/directory.js';
import { rejection } from '../../helpers/errors.js';
import { collectWarnings } from '../../helpers/experiment.js';
import { openManager } from '../../helpers/manager.js';
import {
  type Attempt,
  arraysOf,
  attempt,
  buildDense,
  comparable,
  Interruption,
  type Outcome,
  rowsOf,
  SAMPLES,
  trainArrays,
} from '../../helpers/resumed.js';
import { weightsOf } from '../../helpers/tfjs.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

/** A learning rate that falls by what the callback has seen: its state is what a run depends on. */
class Decay {
  readonly stateName = 'decay';
  private seen = 0;
  private ofEpoch = 0;

  constructor(private readonly model: tf.LayersModel) {}

  onTrainBegin = async () => {
    this.seen = 0;
  };

  onEpochBegin = async () => {
    this.ofEpoch = 0;
  };

  onBatchEnd = async () => {
    this.seen++;
    this.ofEpoch++;
    (this.model.optimizer as unknown as { learningRate: number }).learningRate = 0.05 / (this.seen + this.ofEpoch);
  };

  getState(): Json {
    return { seen: this.seen, ofEpoch: this.ofEpoch };
  }

  setState(state: Json): void {
    Object.assign(this, state as object);
  }
}

async function expectSame(what: Omit<Attempt, 'directory'>, steps: readonly number[]): Promise<void> {
  const whole = (await attempt(tf, { ...what, directory: freshDirectory() })) as Outcome;
  for (const step of steps) {
    const directory = freshDirectory();
    expect(await attempt(tf, { ...what, directory, interrupt: { step, at: 'begin' } })).toBeUndefined();
    const resumed = (await attempt(tf, { ...what, directory })) as Outcome;
    expect(comparable(resumed, resumed.resumedAt)).toEqual(comparable(whole, resumed.resumedAt));
  }
}

/** A run in `directory` that the end of the test closes. */
async function openRun(directory: string, model: tf.LayersModel, options: object = {}): Promise<ResumableRun> {
  const run = await resumable(model, { directory, ...options });
  onTestFinished(() => run.close());
  return run;
}

function fitting(args: tf.ModelFitArgs = {}, samples = SAMPLES) {
  const [x, y] = arraysOf(tf, samples);
  return [x, y, { epochs: 2, batchSize: 3, verbose: 0, ...args }] as const;
}

describe('callbacks', () => {
  test('the state of one with state goes on, and so does what it has changed', async () => {
    const train: Attempt['train'] = (run, recorder, model) =>
      trainArrays(tf, { callbacks: [recorder, new Decay(model) as object] })(run, recorder, model);
    await expectSame({ train, options: { saveFreq: 1 } }, [3, 4, 6]);
    await expectSame({ train }, [5]);
  });

  test("TensorFlow.js' own early stopping goes on waiting, and stops where it would have", async () => {
    const [x, y] = arraysOf(tf, SAMPLES);
    const validationData: [tf.Tensor, tf.Tensor] = [x, y];
    const train: Attempt['train'] = (run, recorder) => {
      const stopping = tf.callbacks.earlyStopping({ monitor: 'val_acc', patience: 3, minDelta: 1 });
      const spy = new (class extends tf.CustomCallback {})(recorder, 'never');
      return trainArrays(tf, { epochs: 12, validationData, callbacks: [stopping, spy] })(run, recorder, undefined as never);
    };
    const whole = (await attempt(tf, { directory: freshDirectory(), train })) as Outcome;
    expect(whole.epochs).toEqual([0, 1, 2, 3]);
    await expectSame({ train, options: { saveFreq: 1 } }, [6, 15]);
    await expectSame({ train }, [9, 13]);
  });

  test('what one draws when training begins again does not count', async () => {
    const train: Attempt['train'] = (run, recorder) => {
      const onTrainBegin = async () => void Math.random();
      const onEpochBegin = async () => void Math.random();
      return trainArrays(tf, { callbacks: { ...recorder, onTrainBegin, onEpochBegin } })(run, recorder, undefined as never);
    };
    await expectSame({ train, options: { saveFreq: 1 } }, [5]);
    await expectSame({ train }, [5]);
  });

  test('they see no batch a second time, and the averages of the epoch are those of all of it', async () => {
    const seen: string[] = [];
    const directory = freshDirectory();
    await attempt(tf, { directory, options: { saveFreq: 1 }, interrupt: { step: 6, at: 'begin' } });
    const train: Attempt['train'] = trainArrays(tf, {
      callbacks: {
        onTrainBegin: async () => void seen.push('train'),
        onEpochBegin: async (epoch) => void seen.push(`epoch ${epoch}`),
        onBatchBegin: async (batch) => void seen.push(`batch ${batch}`),
        onEpochEnd: async (epoch) => void seen.push(`end ${epoch}`),
        onTrainEnd: async () => void seen.push('over'),
      },
    });
    await attempt(tf, { directory, train });
    const third = ['epoch 2', 'batch 0', 'batch 1', 'batch 2', 'batch 3', 'end 2'];
    expect(seen).toEqual(['train', 'epoch 1', 'batch 2', 'batch 3', 'end 1', ...third, 'over']);
  });

  test('one that is missing when the run goes on is named', async () => {
    const warnings = collectWarnings();
    const directory = freshDirectory();
    const train: Attempt['train'] = (run, recorder, model) =>
      trainArrays(tf, { callbacks: [recorder, new Decay(model) as object] })(run, recorder, model);
    await attempt(tf, { directory, train, interrupt: { step: 5, at: 'begin' } });
    await attempt(tf, { directory });
    await new Promise(setImmediate);
    expect(warnings.map(({ message }) => message)).toEqual([expect.stringMatching(/callbacks that it does not have now.*decay/)]);
  });
});

describe('stopping', () => {
  const stopAt =
    (stop: number): NonNullable<Attempt['train']> =>
    (run, recorder, model) => {
      const onBatchEnd = async (batch: number, logs?: tf.Logs) => {
        await recorder.onBatchEnd?.(batch, logs);
        if (run.steps + 1 === stop) model.stopTraining = true;
      };
      return trainArrays(tf, { callbacks: { ...recorder, onBatchEnd } })(run, recorder, model);
    };

  test('in the middle of an epoch stays where it was, also if the process dies before the fit has ended', async () => {
    const whole = (await attempt(tf, { directory: freshDirectory(), train: stopAt(6) })) as Outcome;
    expect(whole).toMatchObject({ steps: 6, epochs: [0, 1] });
    const directory = freshDirectory();
    const options = { saveFreq: 1, async: false };
    expect(await attempt(tf, { directory, options, train: stopAt(6), interrupt: { step: 5, at: 'epoch' } })).toBeUndefined();
    const resumed = (await attempt(tf, { directory, options, train: trainArrays(tf) })) as Outcome;
    expect(comparable(resumed, 6)).toEqual(comparable(whole, 6));
  });

  test('at the end of an epoch, too', async () => {
    const stopping =
      (dies: boolean): NonNullable<Attempt['train']> =>
      (run, recorder, model) => {
        const onEpochEnd = async (epoch: number) => {
          if (epoch === 1) model.stopTraining = true;
        };
        const onTrainEnd = async () => {
          if (dies) throw new Interruption();
        };
        return trainArrays(tf, { epochs: 4, callbacks: { ...recorder, onEpochEnd, onTrainEnd } })(run, recorder, model);
      };
    const options = { saveFreq: every.epochs(1) };
    const whole = (await attempt(tf, { directory: freshDirectory(), options, train: stopping(false) })) as Outcome;
    const directory = freshDirectory();
    expect(await attempt(tf, { directory, options, train: stopping(true) })).toBeUndefined();
    const resumed = (await attempt(tf, { directory, options, train: stopping(false) })) as Outcome;
    expect(resumed).toMatchObject({ resumedAt: 8, steps: 8, epochs: [0, 1], losses: new Map() });
    expect(comparable(resumed, 8)).toEqual(comparable(whole, 8));
  });

  test('a fit that a callback has stopped is over, whatever epochs says', async () => {
    const directory = freshDirectory();
    await attempt(tf, { directory, train: stopAt(8) });
    const again = (await attempt(tf, { directory, train: trainArrays(tf, { epochs: 9 }) })) as Outcome;
    expect(again).toMatchObject({ resumedAt: 8, steps: 8, epochs: [0, 1] });
  });
});

describe('several fits', () => {
  /** Trains the head, then all of it more slowly, with a new optimizer. */
  const train: Attempt['train'] = async (run, callbacks, model) => {
    const [x, y, args] = fitting({ callbacks });
    model.layers[0]!.trainable = false;
    model.compile({ optimizer: tf.train.adam(0.05), loss: 'categoricalCrossentropy' });
    const first = await run.fit(x, y, args);
    model.layers[0]!.trainable = true;
    model.compile({ optimizer: tf.train.momentum(0.01, 0.9), loss: 'categoricalCrossentropy' });
    const second = await run.fitDataset(({ seed }) => dataset().shuffle(4, seed).batch(2), { epochs: 2, verbose: 0, callbacks });
    for (const [key, values] of Object.entries(first.history)) second.history[`first ${key}`] = values as number[];
    return second;
  };

  function dataset() {
    const rows = rowsOf(6).map(({ xs, ys }) => ({ xs: tf.tensor1d(xs), ys: tf.tensor1d(ys) }));
    return tf.data.array(rows.map(({ xs, ys }) => ({ xs: xs.clone(), ys: ys.clone() })) as never) as tf.data.Dataset<tf.TensorContainer>;
  }

  test('go on in whichever the run was, with the optimizer that is compiled for it', async () => {
    await expectSame({ train, options: { saveFreq: 1 } }, [2, 5, 8, 9, 12]);
    await expectSame({ train }, [6, 12]);
  });

  test('one after another, with the steps counted on', async () => {
    const whole = (await attempt(tf, { directory: freshDirectory(), train })) as Outcome;
    expect(whole.steps).toBe(14);
  });
});

describe('a run that is over', () => {
  test('gives its history and the trained model, and says that it is not trained again', async () => {
    const warnings = collectWarnings();
    const directory = freshDirectory();
    const { resumedAt: _, losses: __, ...trained } = (await attempt(tf, { directory })) as Outcome;
    const again = await attempt(tf, { directory });
    expect(again).toEqual({ ...trained, resumedAt: 12, losses: new Map() });
    await new Promise(setImmediate);
    expect(warnings.map(({ message }) => message)).toEqual([
      'Fit 1 of the run was over after 3 epochs, at step 12: it is not trained again. Use another directory to train anew.',
    ]);
  });

  test('goes on with more epochs as if it had been given them at once', async () => {
    const long = trainArrays(tf, { epochs: 5 });
    const whole = (await attempt(tf, { directory: freshDirectory(), train: long })) as Outcome;
    const directory = freshDirectory();
    await attempt(tf, { directory });
    const longer = (await attempt(tf, { directory, train: long })) as Outcome;
    expect(longer.resumedAt).toBe(12);
    expect(comparable(longer, 12)).toEqual(comparable(whole, 12));
  });
});

describe('what cannot go on exactly is refused, with what was and what is', () => {
  test.each([
    ['another batch size', { batchSize: 4 }, SAMPLES, /batchSize was 3 and is 4/],
    ['other data', {}, 10, /samples was 11 and is 10/],
    ['without shuffling', { shuffle: false }, SAMPLES, /shuffle was true and is false/],
    ['another validation split', { validationSplit: 0.5 }, SAMPLES, /samples was 11 and is 5/],
    ['fewer epochs', { epochs: 1 }, SAMPLES, /was in epoch 2 already.*epochs: 1/],
  ])('%s', async (_, changed, samples, message) => {
    const directory = freshDirectory();
    await attempt(tf, { directory, options: { saveFreq: 1 }, interrupt: { step: 6, at: 'begin' } });
    const model = buildDense(tf);
    const run = await openRun(directory, model);
    const before = weightsOf(model);
    const error = await rejection(run.fit(...fitting({ epochs: 3, ...changed }, samples)), 'ERR_RUN_MISMATCH');
    expect(error.message).toMatch(message);
    expect(weightsOf(model)).toEqual(before);
    // It was not begun, so it can be called rightly.
    expect((await run.fit(...fitting({ epochs: 3 }))).epoch).toEqual([0, 1, 2]);
  });

  test('a dataset instead of arrays', async () => {
    const directory = freshDirectory();
    await attempt(tf, { directory, interrupt: { step: 6, at: 'begin' } });
    const run = await openRun(directory, buildDense(tf));
    const data = tf.data.array([{ xs: 1, ys: 1 }]);
    expect((await rejection(run.fitDataset(data, { epochs: 3 }), 'ERR_RUN_MISMATCH')).message).toMatch(
      /method was "fit" and is "fitDataset"/,
    );
  });

  test('a pipeline that has become shorter than what is done of the epoch', async () => {
    const directory = freshDirectory();
    const train =
      (samples: number): NonNullable<Attempt['train']> =>
      (run, callbacks) => {
        const rows = rowsOf(samples).map(({ xs, ys }) => ({ xs: tf.tensor1d(xs), ys: tf.tensor1d(ys) }));
        return run.fitDataset(tf.data.array(rows).batch(3), { epochs: 2, verbose: 0, callbacks });
      };
    await attempt(tf, { directory, train: train(9), options: { saveFreq: 1 }, interrupt: { step: 2, at: 'begin' } });
    const error = await rejection(attempt(tf, { directory, train: train(3) }), 'ERR_RUN_MISMATCH');
    expect(error.message).toMatch(/Epoch 0 has 1 batches now.*2 of it were done/);
  });

  test('other data of the same size is found in the middle of an epoch, and said', async () => {
    const warnings = collectWarnings();
    const directory = freshDirectory();
    await attempt(tf, { directory, options: { saveFreq: 1 }, interrupt: { step: 6, at: 'begin' } });
    const train: Attempt['train'] = (run, callbacks) => {
      const [x, y] = arraysOf(tf, SAMPLES);
      return run.fit(x.add(1), y, { epochs: 3, batchSize: 3, verbose: 0, callbacks });
    };
    expect(await attempt(tf, { directory, train })).toMatchObject({ steps: 12 });
    await new Promise(setImmediate);
    expect(warnings.map(({ message }) => message)).toEqual([expect.stringMatching(/first batch of epoch 1 is not what it was/)]);
  });

  test('a model that does not fit the checkpoint is left as it is', async () => {
    const directory = freshDirectory();
    await attempt(tf, { directory });
    const model = tf.sequential({ layers: [tf.layers.dense({ name: 'first', inputShape: [4], units: 1 })] });
    model.compile({ optimizer: 'adam', loss: 'meanSquaredError' });
    const before = weightsOf(model);
    await rejection(resumable(model, { directory }), 'ERR_MODEL_MISMATCH');
    expect(weightsOf(model)).toEqual(before);
  });

  test('another optimizer is refused when the fit begins, since until then the model may be compiled', async () => {
    const directory = freshDirectory();
    await attempt(tf, { directory, interrupt: { step: 6, at: 'begin' } });
    const model = buildDense(tf);
    const compile = { loss: 'categoricalCrossentropy', metrics: ['accuracy'] };
    model.compile({ ...compile, optimizer: 'sgd' });
    const run = await openRun(directory, model);
    expect(run.restored).toMatchObject({ step: 4, optimizerRestored: false });
    await rejection(run.fit(...fitting({ epochs: 3 })), 'ERR_MODEL_MISMATCH');
    model.compile({ ...compile, optimizer: tf.train.adam(0.05) });
    expect((await run.fit(...fitting({ epochs: 3 }))).epoch).toEqual([0, 1, 2]);
  });

  test('a directory of other checkpoints', async () => {
    const directory = freshDirectory();
    const manager = await openManager(directory);
    await saveModel(manager, buildDense(tf), { step: 1 });
    const error = await rejection(resumable(buildDense(tf), { manager }), 'ERR_RUN_MISMATCH');
    expect(error.message).toMatch(/was not saved by resumable/);
  });

  test('after a fit that failed the run must be opened again', async () => {
    const directory = freshDirectory();
    const run = await openRun(directory, buildDense(tf));
    const callbacks = { onEpochEnd: async () => Promise.reject(new Error('mine')) };
    await expect(run.fit(...fitting({ callbacks }))).rejects.toThrow('mine');
    await rejection(run.fit(...fitting()), 'ERR_INVALID_ARGUMENT');
  });

  test('two fits at once', async () => {
    const run = await openRun(freshDirectory(), buildDense(tf));
    const first = run.fit(...fitting());
    await rejection(run.fit(...fitting()), 'ERR_INVALID_ARGUMENT');
    expect((await first).epoch).toEqual([0, 1]);
  });
});

describe('options', () => {
  test('a trigger, and which checkpoints stay', async () => {
    const directory = freshDirectory();
    const options = { saveFreq: every.steps(5), keep: keep.last(2) };
    await attempt(tf, { directory, options });
    const manager = await openManager(directory);
    const steps: number[] = [];
    for await (const { step } of manager.list()) steps.push(step as number);
    expect(steps).toEqual([10, 12]);
  });

  test("a manager's own trigger; it stays open", async () => {
    const manager = await openManager(freshDirectory(), { trigger: every.epochs(1) });
    const model = buildDense(tf);
    const run = await resumable(model, { manager, saveFreq: 'trigger', config: { name: 'a' } });
    await run.fit(...fitting());
    await run.close();
    const restored = await manager.restore();
    expect(restored).toMatchObject({ step: 8, epoch: 2, config: { name: 'a' }, rng: { seed: expect.any(String) } });
    expect(restored?.metrics).toMatchObject({ loss: expect.any(Number) });
  });

  test('Math.random is the run’s until it is closed; without a seed it is by chance', async () => {
    const original = Math.random;
    const a = await resumable(buildDense(tf), { directory: freshDirectory() });
    expect(Math.random).not.toBe(original);
    const drawn = a.random.next();
    await a.close();
    expect(Math.random).toBe(original);
    const other = await resumable(buildDense(tf), { directory: freshDirectory() });
    expect(other.random.next()).not.toBe(drawn);
    await other.close();
  });

  test('what installRandom has installed is taken, and stays', async () => {
    const random = installRandom('mine');
    onTestFinished(() => random.uninstall());
    const ours = Math.random;
    const run = await resumable(buildDense(tf), { directory: freshDirectory() });
    expect(run.random).toBe(random);
    await run.close();
    expect(Math.random).toBe(ours);
  });

  test('another seed than the run began with does not count, and that is said', async () => {
    const warnings = collectWarnings();
    const directory = freshDirectory();
    const first = await openRun(directory, buildDense(tf), { seed: 1 });
    await first.fit(...fitting());
    const { state } = first.random;
    await first.close();
    const second = await openRun(directory, buildDense(tf), { seed: 2 });
    expect(second.random.state).toEqual(state);
    await new Promise(setImmediate);
    expect(warnings.map(({ message }) => message)).toEqual([expect.stringMatching(/seed that it began with, "1", and not with "2"/)]);
  });

  test('Math.random replaced by something else is said when it is saved', async () => {
    const warnings = collectWarnings();
    const run = await resumable(buildDense(tf), { directory: freshDirectory() });
    const ours = Math.random;
    Math.random = () => 0.5;
    await run.fit(...fitting());
    Math.random = ours;
    await run.close();
    await new Promise(setImmediate);
    expect(warnings.map(({ message }) => message)).toEqual([expect.stringMatching(/Math.random was replaced/)]);
  });

  test('a stateful layer is named', async () => {
    const warnings = collectWarnings();
    const model = tf.sequential({
      layers: [
        tf.layers.simpleRNN({ name: 'memory', units: 2, stateful: true, batchInputShape: [3, 2, 1] }),
        tf.layers.dense({ name: 'head', units: 1 }),
      ],
    });
    model.compile({ optimizer: 'sgd', loss: 'meanSquaredError' });
    const run = await openRun(freshDirectory(), model);
    await run.fit(tf.ones([6, 2, 1]), tf.ones([6, 1]), { batchSize: 3, verbose: 0 });
    await new Promise(setImmediate);
    expect(warnings.map(({ message }) => message)).toEqual([expect.stringMatching(/stateful layers.*memory/)]);
  });

  test('a manager for weights alone is refused: nothing could go on from there', async () => {
    const manager = await openManager(freshDirectory(), { contents: 'weights' });
    expect((await rejection(resumable(buildDense(tf), { manager }), 'ERR_INVALID_ARGUMENT')).message).toMatch(/weights only/);
  });

  const open = { directory: '/nowhere' };
  test.each([
    [{}, 'ERR_INVALID_ARGUMENT', /directory or a manager/],
    [{ ...open, savefreq: 3 }, 'ERR_UNKNOWN_OPTION', /savefreq/],
    [{ ...open, saveFreq: 0 }, 'ERR_INVALID_ARGUMENT', /saveFreq must be a whole number/],
    [{ ...open, saveFreq: 'batch' }, 'ERR_INVALID_ARGUMENT', /"epoch"/],
    [{ ...open, saveFreq: 'trigger' }, 'ERR_INVALID_ARGUMENT', /give the trigger itself/],
    [{ ...open, async: 'yes' }, 'ERR_INVALID_ARGUMENT', /async/],
    [{ ...open, seed: '' }, 'ERR_INVALID_ARGUMENT', /seed/],
    [{ manager: {} }, 'ERR_INVALID_ARGUMENT', /open CheckpointManager/],
  ] as const)('%j is refused', async (options, code, message) => {
    const original = Math.random;
    expect((await rejection(resumable(buildDense(tf), options as never), code)).message).toMatch(message);
    expect(Math.random).toBe(original);
  });
});

test('something else than a model is refused at once, and the directory is not left locked', async () => {
  const directory = freshDirectory();
  const error = await rejection(resumable(undefined as unknown as tf.LayersModel, { directory }), 'ERR_INVALID_ARGUMENT');
  expect(error.message).toMatch(/takes the tf.LayersModel/);
  await (await openManager(directory)).close();
});
