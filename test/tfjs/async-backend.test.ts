/** A backend of which nothing is known, and which reads asynchronously only, as those of graphics cards may. */
import * as tf from '@tensorflow/tfjs';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { restoreModel, saveModel, saveModelAsync } from '../../src/tfjs/index.js';
import { freshDirectory } from '../helpers/directory.js';
import { rejection } from '../helpers/errors.js';
import { openManager } from '../helpers/manager.js';
import { alive, functionalModel, train } from '../helpers/tfjs.js';
import { activate } from '../helpers/tfjs-backends.js';
import { holdUp, stateOf } from '../helpers/tfjs-saving.js';

const NAME = 'read-asynchronously';

/** Whether reading synchronously is refused; false while a test looks at the model. */
let refusing = false;
/** Called at every asynchronous read. */
let onRead = () => {};

beforeAll(async () => {
  await activate(tf, 'cpu');
  const Cpu = tf.backend().constructor as new () => tf.KernelBackend;
  class Later extends Cpu {
    override readSync(dataId: object) {
      if (refusing) throw new Error('readSync is not supported');
      return super.readSync(dataId);
    }
    override async read(dataId: object) {
      onRead();
      await new Promise((resolve) => setTimeout(resolve, 1));
      return allowed(() => super.readSync(dataId));
    }
  }
  tf.copyRegisteredKernels('cpu', NAME);
  tf.registerBackend(NAME, () => new Later());
  await activate(tf, NAME);
});

beforeEach(() => {
  refusing = true;
  onRead = () => {};
});

function allowed<T>(read: () => T): T {
  refusing = false;
  try {
    return read();
  } finally {
    refusing = true;
  }
}

test('a save reads what was captured, although training goes on', async () => {
  const manager = await openManager(freshDirectory());
  const model = functionalModel(tf, 'adam');
  await train(tf, model, 0, 3);
  const before = alive(tf);
  const expected = allowed(() => stateOf(model));
  const gate = holdUp(manager);
  const saving = saveModel(manager, model, { step: 3 });
  expect(alive(tf).numTensors).toBeGreaterThan(before.numTensors);
  expect(alive(tf).numDataBuffers).toBe(before.numDataBuffers);
  await train(tf, model, 3, 20);
  await gate.open();
  await saving;
  expect(alive(tf)).toEqual(before);
  const fresh = functionalModel(tf, 'adam');
  await restoreModel(manager, fresh);
  expect(allowed(() => stateOf(fresh))).toEqual(expected);
});

test('an abort while it reads leaves no tensor', async () => {
  const manager = await openManager(freshDirectory());
  const model = functionalModel(tf, 'adam');
  await train(tf, model, 0, 3);
  const before = alive(tf);
  const pending = await saveModelAsync(manager, model, { step: 3 });
  // Its tensors are read one by one, in later turns.
  onRead = () => void pending.cancel();
  await rejection(pending.committed as Promise<unknown>, 'ERR_ABORTED');
  expect(alive(tf)).toEqual(before);
});

test('what must be read in the call cannot be: hold: "host" and stable: false', async () => {
  const manager = await openManager(freshDirectory());
  const model = functionalModel(tf, 'adam');
  const before = alive(tf);
  await rejection(saveModel(manager, model, { step: 1, hold: 'host' }), 'ERR_MODEL');
  await rejection(saveModel(manager, model, { step: 1, stable: false }), 'ERR_MODEL');
  expect(alive(tf)).toEqual(before);
});
