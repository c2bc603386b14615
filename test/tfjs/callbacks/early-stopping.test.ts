/**
 * EarlyStopping against Keras's: the outcomes stand in a table that was worked out by Keras's published rules (keras/src/callbacks/early_stopping.py):
 * an epoch improves if its value is better than the best by more than minDelta; the wait begins anew only if it beats the baseline, too; training ends
 * at an epoch behind the first that does not improve when the wait has reached patience.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, test } from 'vitest';
import { EarlyStopping, type EarlyStoppingOptions } from '../../../src/tfjs/index.js';
import { rejection, thrown } from '../../helpers/errors.js';
import { collectWarnings } from '../../helpers/experiment.js';
import { alive, sequentialModel, weightsOf } from '../../helpers/tfjs.js';
import { fitScript, printed } from '../../helpers/tfjs-fit.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const NaN_ = Number.NaN;

/** Values of the metric, options, epochs that are run, index of the epoch that ended it (0: none), index of the best epoch. */
const KERAS: readonly [string, readonly number[], EarlyStoppingOptions, number, number, number][] = [
  ['no patience', [3, 2, 2, 1], {}, 3, 2, 1],
  ['patience 2, and better in between', [3, 2, 2.5, 1, 1.5, 1.2, 0.5], { patience: 2 }, 6, 5, 3],
  ['never ended', [4, 3, 2, 1], { patience: 1 }, 4, 0, 3],
  ['the first epoch never ends it', [NaN_, 1, 2], {}, 3, 2, 1],
  ['minDelta', [1, 0.95, 0.91, 0.85], { minDelta: 0.1, patience: 2 }, 3, 2, 0],
  ['minDelta below 0 is taken for its size', [1, 0.95, 0.91, 0.85], { minDelta: -0.1, patience: 2 }, 3, 2, 0],
  ['max by mode', [1, 2, 3, 3], { mode: 'max' }, 4, 3, 2],
  ['a baseline that is never reached', [5, 4, 3, 2, 1], { baseline: 0.5, patience: 3 }, 5, 0, 4],
  ['a baseline, and no improvement', [5, 4, 4, 4], { baseline: 0.5, patience: 3 }, 3, 2, 1],
  ['a baseline that is reached', [5, 4, 1, 2, 3, 4], { baseline: 3, patience: 2 }, 5, 4, 2],
  ['startFromEpoch', [1, 2, 3, 2, 4, 5], { startFromEpoch: 2 }, 5, 4, 3],
  ['NaN waits', [1, NaN_, NaN_, 0.5], { patience: 2 }, 3, 2, 0],
  ['NaN first, and then anything is better', [NaN_, 7, 8, 9], { patience: 2 }, 4, 3, 1],
];

describe("EarlyStopping ends training when Keras's would", () => {
  test.each(KERAS)('%s', async (_, values, options, epochs, stopped, best) => {
    const callback = new EarlyStopping(options);
    const { epoch } = await fitScript(tf, sequentialModel(tf, 'sgd'), { val_loss: values }, callback);
    expect({ epochs: epoch.length, stopped: callback.stoppedEpoch, best: callback.bestEpoch }).toEqual({ epochs, stopped, best });
  });

  test('mode auto goes by the name', async () => {
    const callback = new EarlyStopping({ monitor: 'val_accuracy' });
    const { epoch } = await fitScript(tf, sequentialModel(tf, 'sgd'), { val_acc: [0.1, 0.2, 0.2, 0.3] }, callback);
    expect(epoch).toHaveLength(3);
  });

  test('a second fit with the same callback begins anew', async () => {
    const callback = new EarlyStopping();
    const model = sequentialModel(tf, 'sgd');
    await fitScript(tf, model, { val_loss: [1, 2, 3] }, callback);
    const { epoch } = await fitScript(tf, model, { val_loss: [9, 8, 9] }, callback);
    expect([epoch.length, callback.bestEpoch]).toEqual([3, 1]);
  });
});

describe('restoreBestWeights', () => {
  /** Weights at the end of every epoch. */
  function recorder() {
    const seen: Record<string, string>[] = [];
    return { seen, callback: (model: tf.LayersModel) => ({ onEpochEnd: () => void seen.push(weightsOf(model)) }) };
  }

  test.each([
    [
      'ended early',
      [3, 1, 2, 2],
      { patience: 2 },
      1,
      ['Epoch 4: early stopping', 'Restoring model weights from the end of the best epoch: 2.'],
    ],
    ['not ended early', [3, 1, 2], { patience: 5 }, 1, ['Restoring model weights from the end of the best epoch: 2.']],
    ['nothing ever better than nothing', [NaN_, NaN_], { patience: 5 }, 0, ['Restoring model weights from the end of the best epoch: 1.']],
  ] as const)('puts back the weights of the best epoch: %s', async (_, values, options, best, lines) => {
    const model = sequentialModel(tf, 'adam', 'unitNorm');
    const { seen, callback } = recorder();
    const said = printed();
    const stopping = new EarlyStopping({ ...options, restoreBestWeights: true, verbose: 1 });
    await fitScript(tf, model, { val_loss: values }, [callback(model), stopping]);
    expect(said).toEqual(lines);
    expect(weightsOf(model)).toEqual(seen[best]);
    expect(weightsOf(model)).not.toEqual(seen.at(-1));
  });

  test('holds no tensor when it is over, well or not', async () => {
    const model = sequentialModel(tf, 'adam');
    const fail = {
      onEpochEnd(epoch: number) {
        if (epoch === 1) throw new Error('no');
      },
    };
    const run = (...callbacks: object[]) => fitScript(tf, model, { val_loss: [3, 2, 1] }, [...callbacks, fail]);
    await expect(run()).rejects.toThrow('no');
    const [before] = [alive(tf)];
    await expect(run()).rejects.toThrow('no');
    const tfjsOwn = alive(tf).numTensors - before.numTensors;
    await expect(run(new EarlyStopping({ restoreBestWeights: true }))).rejects.toThrow('no');
    expect(alive(tf).numTensors - before.numTensors).toBe(2 * tfjsOwn);
    const well = alive(tf);
    await fitScript(tf, model, { val_loss: [3, 2, 1] }, new EarlyStopping({ restoreBestWeights: true }));
    expect(alive(tf)).toEqual(well);
  });
});

test('a metric that is not there: a warning, once, and training goes on', async () => {
  const warnings = collectWarnings();
  const { epoch } = await fitScript(tf, sequentialModel(tf, 'sgd'), { loss: [1, 1, 1] }, new EarlyStopping());
  await nextTurn();
  expect(epoch).toHaveLength(3);
  expect(warnings.map(({ message }) => message)).toEqual([
    'EarlyStopping: Early stopping conditioned on metric `val_loss` which is not available. Available metrics are: loss,acc',
  ]);
});

test('state goes into another process and back: the wait, the best, and what cannot come along is said', async () => {
  const first = new EarlyStopping({ patience: 3, restoreBestWeights: true });
  await fitScript(tf, sequentialModel(tf, 'sgd'), { val_loss: [1, 2, 3] }, first);
  const second = new EarlyStopping({ patience: 3, restoreBestWeights: true });
  second.setState(JSON.parse(JSON.stringify(first.getState())));
  const warnings = collectWarnings();
  const { epoch } = await fitScript(tf, sequentialModel(tf, 'sgd'), { val_loss: [2, 2] }, second);
  expect(epoch).toHaveLength(2);
  await nextTurn();
  expect(second.bestEpoch).toBe(0);
  expect(warnings.map(({ message }) => message)).toEqual([expect.stringContaining('The best epoch, 1, was in a process that has ended')]);
  for (const state of [null, [], { wait: 'a' }, { wait: -1, best: null, bestEpoch: 0, stoppedEpoch: 0 }]) {
    expect(thrown(() => second.setState(state), 'ERR_STATE').message).toContain('The state of EarlyStopping');
  }
});

test('what cannot be meant is refused', async () => {
  expect(thrown(() => new EarlyStopping({ restore_best_weights: true } as object), 'ERR_UNKNOWN_OPTION').message).toContain(
    'Did you mean "restoreBestWeights"?',
  );
  thrown(() => new EarlyStopping({ patience: -1 }), 'ERR_INVALID_ARGUMENT');
  thrown(() => new EarlyStopping({ baseline: NaN_ }), 'ERR_INVALID_ARGUMENT');
  thrown(() => new EarlyStopping({ minDelta: NaN_ }), 'ERR_INVALID_ARGUMENT');
  const callback = new EarlyStopping();
  const [one, two] = [sequentialModel(tf, 'sgd'), sequentialModel(tf, 'sgd')];
  const both = [one, two].map((model) => fitScript(tf, model, { val_loss: [2, 1] }, callback));
  expect((await rejection(both[1] as Promise<unknown>, 'ERR_INVALID_ARGUMENT')).message).toContain('in another fit');
  await both[0];
});
