import type * as tensorflow from '@tensorflow/tfjs';
import { assertType, expectTypeOf, test } from 'vitest';
import type { CheckpointManager } from '../../../src/index.js';
import {
  BestNCheckpoints,
  EarlyStopping,
  type ManagerCallback,
  ModelCheckpoint,
  PeriodicCheckpoint,
  ReduceLROnPlateau,
  TerminateOnNaN,
  TrainingState,
} from '../../../src/tfjs/index.js';

declare const tf: typeof tensorflow;
declare const manager: CheckpointManager;
declare const model: tensorflow.LayersModel;
type Callbacks = NonNullable<tensorflow.ModelFitArgs['callbacks']>;

test('callbacks are what fit takes: alone, with instances of tf.Callback, with plain objects', () => {
  assertType<Callbacks>(new EarlyStopping());
  assertType<Callbacks>([new ModelCheckpoint('m'), new TerminateOnNaN(), new TrainingState()]);
  assertType<Callbacks>([new EarlyStopping(), tf.callbacks.earlyStopping()]);
  assertType<Callbacks>([tf.callbacks.earlyStopping(), new PeriodicCheckpoint({ directory: 'd', everySteps: 1 })]);
  assertType<Callbacks>([new ReduceLROnPlateau(), { onEpochEnd: () => {} }]);
  assertType<Callbacks>([{ onEpochEnd: () => {} }, new BestNCheckpoints({ directory: 'd', n: 2 }), tf.callbacks.earlyStopping()]);
  assertType<Callbacks>(manager.callback(model));
});

test('options are Keras’s, and nothing else', () => {
  assertType(new ModelCheckpoint({ filepath: 'm', saveFreq: 10, mode: 'max', monitor: 'val_acc' }));
  // @ts-expect-error as in Python
  assertType(new ModelCheckpoint('m', { save_best_only: true }));
  // @ts-expect-error no place
  assertType(new ModelCheckpoint({ saveBestOnly: true }));
  // @ts-expect-error no such frequency
  assertType(new ModelCheckpoint('m', { saveFreq: 'batch' }));
  // @ts-expect-error how many?
  assertType(new BestNCheckpoints({ directory: 'd' }));
  // @ts-expect-error its rules are n and monitor
  assertType(new BestNCheckpoints({ directory: 'd', n: 1, keep: [] }));
  expectTypeOf(manager.callback(model, { state: { a: 1 } })).toEqualTypeOf<ManagerCallback>();
  // @ts-expect-error it has a manager
  assertType(manager.callback(model, { directory: 'd' }));
});

test('model.save takes what a checkpoint can be told', () => {
  type Config = NonNullable<Parameters<tensorflow.LayersModel['save']>[1]>;
  assertType<Config>({ includeOptimizer: false, step: 7, epoch: 1, metrics: { loss: 0.5 }, state: { seen: 3 }, tags: ['kept'] });
  // @ts-expect-error: a misspelled one
  assertType<Config>({ stepp: 7 });
});
