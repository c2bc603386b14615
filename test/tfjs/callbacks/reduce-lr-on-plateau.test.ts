/**
 * ReduceLROnPlateau against Keras's: the learning rates in the table were worked out by Keras's published rules
 * (keras/src/callbacks/reduce_lr_on_plateau.py): in a cooldown the wait is 0; otherwise an epoch that does not improve by more than minDelta adds to it, and
 * when it has reached patience the rate is multiplied by factor, but not below minLr, and the cooldown begins.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, test } from 'vitest';
import { ReduceLROnPlateau, type ReduceLROnPlateauOptions } from '../../../src/tfjs/index.js';
import { rejection, thrown } from '../../helpers/errors.js';
import { collectWarnings } from '../../helpers/experiment.js';
import { functionalModel, OPTIMIZERS, sequentialModel } from '../../helpers/tfjs.js';
import { fitScript, printed } from '../../helpers/tfjs-fit.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

/** Values of the metric, options, and the learning rate in the logs of every epoch: what it is trained with, in halves of 1. */
const KERAS: readonly [string, readonly number[], ReduceLROnPlateauOptions, readonly number[]][] = [
  ['patience 1', [3, 2, 2, 1, 1, 1], { patience: 1 }, [1, 1, 1, 0.5, 0.5, 0.25]],
  ['patience 2', [3, 3, 3, 3, 3, 3], { patience: 2 }, [1, 1, 1, 0.5, 0.5, 0.25]],
  ['patience 0 is as 1', [3, 3, 3, 2], { patience: 0 }, [1, 1, 0.5, 0.25]],
  ['the default minDelta', [1, 0.99995, 0.9, 0.89995], { patience: 1 }, [1, 1, 0.5, 0.5]],
  ['minDelta 0', [1, 0.99995, 0.9, 0.89995], { patience: 1, minDelta: 0 }, [1, 1, 1, 1]],
  ['cooldown', [3, 3, 3, 3, 3, 3, 3], { patience: 1, cooldown: 2 }, [1, 1, 0.5, 0.5, 0.25, 0.25, 0.125]],
  ['better in the cooldown', [3, 3, 1, 1, 1, 1], { patience: 1, cooldown: 2 }, [1, 1, 0.5, 0.5, 0.25, 0.25]],
  ['minLr', [3, 3, 3, 3, 3], { patience: 1, minLr: 0.4 }, [1, 1, 0.5, 0.4, 0.4]],
  ['max', [1, 2, 2, 3, 3], { patience: 1, mode: 'max' }, [1, 1, 1, 0.5, 0.5]],
  ['NaN waits', [3, Number.NaN, 2, Number.NaN, 1], { patience: 2 }, [1, 1, 1, 1, 1]],
];

describe("ReduceLROnPlateau reduces when Keras's would", () => {
  test.each(KERAS)('%s', async (_, values, options, rates) => {
    const model = sequentialModel(tf, tf.train.sgd(1));
    const callback = new ReduceLROnPlateau({ factor: 0.5, ...options });
    const { history } = await fitScript(tf, model, { val_loss: values }, callback);
    expect(history['learning_rate']).toEqual(rates);
    expect(history['lr']).toEqual(rates);
  });
});

describe('the reduced rate is what is trained with', () => {
  // tfjs's centered RMSProp takes the root of a negative number wherever a gradient is 0: these models become NaN with it. It is RMSProp as the other one.
  const { 'RMSProp, centered': _, ...optimizers } = OPTIMIZERS;
  test.each(Object.entries(optimizers))('%s', async (_, make) => {
    const model = functionalModel(tf, make(tf));
    const lines = printed();
    /** How far the weights go in some epochs. */
    const move = async (epochs: number, ...callbacks: object[]) => {
      const before = flat(model);
      await fitScript(tf, model, { val_loss: Array.from({ length: epochs }, () => 1) }, callbacks);
      return Math.max(...flat(model).map((value, i) => Math.abs(value - (before[i] as number))));
    };
    const rate = (model.optimizer as unknown as { learningRate: number }).learningRate;
    const far = await move(2, new ReduceLROnPlateau({ patience: 1, factor: 1e-6, verbose: 1 }));
    expect(lines).toEqual([`\nEpoch 2: ReduceLROnPlateau reducing learning rate to ${rate * 1e-6}.`]);
    expect(model.optimizer.getConfig()).toMatchObject({ learningRate: rate * 1e-6 });
    // What momentum is left of the time before has to go first.
    await move(5);
    expect(far).toBeGreaterThan(1e-3);
    expect(await move(1)).toBeLessThan(far / 1000);
  });
});

function flat(model: tf.LayersModel): number[] {
  return model.getWeights().flatMap((weight) => [...weight.dataSync()]);
}

test('a metric that is not there: a warning, once; the learning rate is in the logs all the same', async () => {
  const warnings = collectWarnings();
  const model = sequentialModel(tf, tf.train.adam(0.01));
  const { history } = await fitScript(tf, model, { loss: [1, 1] }, new ReduceLROnPlateau());
  await nextTurn();
  expect(history['lr']).toEqual([0.01, 0.01]);
  expect(warnings.map(({ message }) => message)).toEqual([
    'ReduceLROnPlateau: Learning rate reduction is conditioned on metric `val_loss` which is not available. Available metrics are: loss,acc,learning_rate,lr.',
  ]);
});

test('state goes on in another process', async () => {
  const options = { patience: 2, factor: 0.5 };
  const first = new ReduceLROnPlateau(options);
  await fitScript(tf, sequentialModel(tf, tf.train.sgd(1)), { val_loss: [1, 1] }, first);
  const second = new ReduceLROnPlateau(options);
  second.setState(JSON.parse(JSON.stringify(first.getState())));
  const model = sequentialModel(tf, tf.train.sgd(1));
  await fitScript(tf, model, { val_loss: [1] }, second);
  expect(model.optimizer.getConfig()).toMatchObject({ learningRate: 0.5 });
  thrown(() => second.setState({ best: 'x', wait: 0, cooldown: 0 }), 'ERR_STATE');
});

test('what cannot be meant is refused, and an optimizer without a rate', async () => {
  thrown(() => new ReduceLROnPlateau({ factor: 1 }), 'ERR_INVALID_ARGUMENT');
  thrown(() => new ReduceLROnPlateau({ factor: 0 }), 'ERR_INVALID_ARGUMENT');
  thrown(() => new ReduceLROnPlateau({ minLr: -1 }), 'ERR_INVALID_ARGUMENT');
  expect(thrown(() => new ReduceLROnPlateau({ min_lr: 0 } as object), 'ERR_UNKNOWN_OPTION').message).toContain('Did you mean "minLr"?');
  class Own extends tf.Optimizer {
    static readonly className = 'Own';
    override applyGradients(): void {}
    override getConfig() {
      return {};
    }
  }
  await rejection(fitScript(tf, sequentialModel(tf, new Own()), { val_loss: [1] }, new ReduceLROnPlateau()), 'ERR_MODEL');
});
