/** TrainingState, and TerminateOnNaN: what is known of a fit goes on in another process. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Json } from '../../../src/format/state.js';
import {
  EarlyStopping,
  ModelCheckpoint,
  PeriodicCheckpoint,
  ReduceLROnPlateau,
  restoreModel,
  TerminateOnNaN,
  TrainingState,
} from '../../../src/tfjs/index.js';
import { freshDirectory } from '../../helpers/directory.js';
import { rejection, thrown } from '../../helpers/errors.js';
import { collectWarnings } from '../../helpers/experiment.js';
import { openManager } from '../../helpers/manager.js';
import { sequentialModel } from '../../helpers/tfjs.js';
import { data, fitScript, printed } from '../../helpers/tfjs-fit.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const copy = (json: Json) => JSON.parse(JSON.stringify(json)) as Json;

describe('TrainingState', () => {
  test('is saved with a checkpoint as all callbacks know it then, wherever they stand, and given back', async () => {
    const directory = freshDirectory();
    const values = [5, 4, 4, 4, 4, 4];
    const set = () => {
      const state = new TrainingState();
      const stopping = new EarlyStopping({ patience: 4 });
      const plateau = new ReduceLROnPlateau({ patience: 2, factor: 0.5 });
      const checkpoint = new ModelCheckpoint(`${directory}/e{epoch}`, { trainingState: state, state: { mine: 'too' } });
      return { state, stopping, plateau, all: [checkpoint, state, stopping, plateau] };
    };
    const make = () => sequentialModel(tf, tf.train.sgd(1));
    const straight = set();
    const model = make();
    const { history } = await fitScript(tf, model, { val_loss: values }, straight.all);
    expect(straight.state.history).toEqual({ ...history });
    expect({ epoch: straight.state.epoch, batch: straight.state.batch, step: straight.state.globalStep }).toEqual({
      epoch: 6,
      batch: 0,
      step: 18,
    });

    const resumed = set();
    const other = make();
    const restored = await restoreModel(await openManager(directory), other, 'e4');
    const saved = restored?.state as { training: Json; mine: string } | undefined;
    expect(saved?.mine).toBe('too');
    resumed.state.restore(saved?.training ?? null);
    expect({ epoch: resumed.state.epoch, epochs: resumed.state.epochs }).toEqual({ epoch: 4, epochs: [0, 1, 2, 3] });
    await fitScript(tf, other, { val_loss: values }, resumed.all.slice(1), resumed.state.epoch);
    expect(resumed.state.history['lr']).toEqual(straight.state.history['lr']);
    expect(resumed.state.history['val_loss']).toEqual(values);
    expect(resumed.stopping.getState()).toEqual(straight.stopping.getState());
    expect(resumed.plateau.getState()).toEqual(straight.plateau.getState());
    expect(resumed.stopping.stoppedEpoch).toBe(5);
  });

  test('knows the batch of an epoch that goes on, and numbers that JSON has not', async () => {
    const directory = freshDirectory();
    const state = new TrainingState();
    const periodic = new PeriodicCheckpoint({ directory, everySteps: 5, trainingState: state, state: () => ({ at: state.batch }) });
    await fitScript(tf, sequentialModel(tf, 'sgd'), { val_loss: [Number.NaN, Number.NEGATIVE_INFINITY] }, [periodic, state]);
    const restored = await (await openManager(directory)).restore<{ training: Json; at: number }>();
    expect(restored?.state).toMatchObject({ at: 2, training: { epoch: 1, batch: 2, step: 5 } });
    const other = new TrainingState();
    other.restore(copy(state.toJSON()));
    expect(other.history['val_loss']).toEqual([Number.NaN, Number.NEGATIVE_INFINITY]);
  });

  test('tells two callbacks of one kind apart, and keeps the state of one that is not there', async () => {
    const two = () => [new EarlyStopping({ patience: 9 }), new EarlyStopping({ patience: 8, minDelta: 2 })] as const;
    const [state, first] = [new TrainingState(), two()];
    await fitScript(tf, sequentialModel(tf, 'sgd'), { val_loss: [3, 2] }, [...first, state]);
    const json = copy(state.toJSON());
    const [again, second] = [new TrainingState({ callbacks: two() }), two()];
    again.restore(json);
    const alone = new TrainingState();
    alone.restore(json);
    const warnings = collectWarnings();
    await fitScript(tf, sequentialModel(tf, 'sgd'), { val_loss: [9] }, [second[0], alone]);
    await nextTurn();
    expect(second[0].best).toBe(2);
    expect(warnings.map(({ message }) => message)).toEqual([expect.stringContaining('takes the state of EarlyStopping:val_loss#2')]);
    expect(alone.toJSON()).toMatchObject({ callbacks: { 'EarlyStopping:val_loss#2': first[1].getState() as object } });
  });

  test('what is none is refused', () => {
    const state = new TrainingState();
    const good = state.toJSON() as { readonly [key: string]: Json };
    for (const json of [
      null,
      7,
      {},
      { ...good, version: 2 },
      { ...good, epochs: ['x'] },
      { ...good, history: 4 },
      { ...good, epoch: -1 },
    ] as Json[]) {
      thrown(() => state.restore(json), 'ERR_STATE');
    }
    expect(state.epoch).toBe(0);
    thrown(() => new TrainingState({ callbacks: [{}] }), 'ERR_INVALID_ARGUMENT');
    thrown(() => new TrainingState({ callback: [] } as object), 'ERR_UNKNOWN_OPTION');
  });

  test('one that is not in the fit, whose state would never change, is refused', async () => {
    const checkpoint = new ModelCheckpoint({ directory: freshDirectory(), trainingState: new TrainingState() });
    const error = await rejection(fitScript(tf, sequentialModel(tf, 'sgd'), { val_loss: [1] }, checkpoint), 'ERR_INVALID_ARGUMENT');
    expect(error.message).toContain('callbacks');
  });
});

describe('TerminateOnNaN', () => {
  test.each([
    ['NaN', Number.NaN],
    ['infinite', Number.POSITIVE_INFINITY],
  ])('ends training behind a batch whose loss is %s', async (_, bad) => {
    const { x, y } = data(tf);
    const lines = printed();
    const model = sequentialModel(tf, 'sgd');
    const poison = new tf.CustomCallback({
      onBatchEnd(batch, logs) {
        if (batch === 1) (logs as Record<string, number>)['loss'] = bad;
      },
    });
    const seen: number[] = [];
    const callbacks = [poison, new TerminateOnNaN(), { onBatchEnd: (batch: number) => void seen.push(batch) }] as tf.CustomCallbackArgs[];
    const { epoch } = await model.fit(x, y, { verbose: 0, batchSize: 8, epochs: 3, callbacks });
    expect([epoch, seen, lines]).toEqual([[0], [0, 1], ['Batch 1: Invalid loss, terminating training']]);
  });

  test('is quiet while all is well', async () => {
    const { epoch } = await fitScript(tf, sequentialModel(tf, 'sgd'), { val_loss: [1, 1] }, new TerminateOnNaN());
    expect(epoch).toEqual([0, 1]);
    thrown(() => new TerminateOnNaN({ monitor: 'x' } as object), 'ERR_UNKNOWN_OPTION');
  });
});
