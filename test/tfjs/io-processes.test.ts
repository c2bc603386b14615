/** holdfast:// across processes and copies of tfjs: killed saves, other readers, the entry that registers by itself. */
import { createRequire } from 'node:module';
import path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, test } from 'vitest';
import { holdfastHandler, registerHoldfast } from '../../src/tfjs/index.js';
import { ended, startNode } from '../helpers/child.js';
import { freshDirectory } from '../helpers/directory.js';
import { killAt } from '../helpers/kill-at.js';
import { functionalModel, OPTIMIZERS, optimizerOf, predictions, type Tf, train, weightsOf } from '../helpers/tfjs.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
  registerHoldfast(tf);
});

const REGISTER = JSON.stringify(new URL('../../dist/tfjs/register.js', import.meta.url).href);
const TFJS = `import * as tf from '@tensorflow/tfjs'; await import(${REGISTER}); tf.env().set('IS_TEST', true);`;

/** A process that loads the model, trains it by two steps and saves it. */
const TRAIN_ON = `${TFJS}
  const url = process.argv[1];
  const model = await tf.loadLayersModel(url);
  for (let step = 0; step < 2; step++) await model.trainOnBatch(tf.ones([4, 6]), tf.ones([4, 3]));
  await model.save(url);
  console.log('saved', model.optimizer.iterations);`;

async function trainedHere(url: string) {
  const model = functionalModel(tf, 'adam');
  await train(tf, model, 0, 3);
  await model.save(url);
  return model;
}

test('another process goes on from it, and this one from that, bit by bit', async () => {
  const url = `holdfast://${freshDirectory()}`;
  const model = await trainedHere(url);
  const child = await ended(startNode(TRAIN_ON, [url]));
  expect(child.stdout, child.stderr).toContain('saved 5');
  for (let step = 0; step < 2; step++) {
    const [x, y] = [tf.ones([4, 6]), tf.ones([4, 3])];
    await model.trainOnBatch(x, y);
    tf.dispose([x, y]);
  }
  const loaded = await tf.loadLayersModel(url);
  expect(weightsOf(loaded)).toEqual(weightsOf(model));
  expect(optimizerOf(loaded)).toEqual(optimizerOf(model));
});

test.each([1, 6, 12, 18, 24])(
  'a process that is killed at its change %i of the directory leaves the older model or the newer one, whole',
  async (n) => {
    const directory = freshDirectory();
    const url = `holdfast://${directory}`;
    const model = await trainedHere(url);
    const { signal, stdout, stderr } = await ended(startNode(TRAIN_ON, [url], { NODE_OPTIONS: killAt(n, directory) }));
    expect(signal === 'SIGKILL' || stdout.includes('saved'), stderr).toBe(true);
    const loaded = await tf.loadLayersModel(url);
    expect([3, 5]).toContain(loaded.optimizer.iterations);
    if (loaded.optimizer.iterations === 3) {
      expect(weightsOf(loaded)).toEqual(weightsOf(model));
      expect(optimizerOf(loaded)).toEqual(optimizerOf(model));
    }
    await model.save(`${url}?step=9`);
    expect(weightsOf(await tf.loadLayersModel(url))).toEqual(weightsOf(model));
  },
);

describe('holdfast/tfjs/register', () => {
  test('without TensorFlow.js it says what to do', async () => {
    const { code, stderr } = await ended(startNode(`await import(${REGISTER});`));
    expect(code).toBe(1);
    expect(stderr).toContain('ERR_UNSUPPORTED');
    expect(stderr).toContain('before it');
  });

  test('is an entry of the package', () => {
    const file = createRequire(import.meta.url).resolve('holdfast/tfjs/register');
    expect(file).toBe(path.resolve('dist/tfjs/register.js'));
  });
});

// The last tests of the file: classes of the copy take the place of the first one's wherever tfjs looks classes up.
describe('another copy of the layers of tfjs in the process', () => {
  /** With the same core, and so the same routers and names of variables. */
  function secondCopy(): Tf {
    const require = createRequire(import.meta.url);
    const file = require.resolve('@tensorflow/tfjs-layers');
    const first = require.cache[file];
    delete require.cache[file];
    try {
      return { ...tf, ...(require(file) as object) } as Tf;
    } finally {
      if (first !== undefined) require.cache[file] = first;
      tf.disposeVariables();
    }
  }

  test('that is not registered gets the weights as tfjs has always passed them around', async () => {
    const directory = freshDirectory();
    tf.disposeVariables();
    const model = functionalModel(tf, OPTIMIZERS['Momentum']!(tf));
    await train(tf, model, 0, 3);
    const [outputs, optimizer] = [predictions(tf, model), optimizerOf(model)];
    await model.save(`holdfast://${directory}`);
    const copy = secondCopy();
    const loaded = await copy.loadLayersModel(holdfastHandler(directory));
    expect(loaded).toBeInstanceOf(copy.LayersModel);
    expect(loaded).not.toBeInstanceOf(tf.LayersModel);
    expect(predictions(tf, loaded)).toBe(outputs);
    expect(optimizerOf(loaded)).toEqual(optimizer);
  });

  test('is registered for itself; the routers stay one', async () => {
    const copy = secondCopy();
    registerHoldfast(copy);
    registerHoldfast(copy);
    const url = `holdfast://${freshDirectory()}`;
    expect([tf.io.getLoadHandlers(url).length, tf.io.getSaveHandlers(url).length]).toEqual([1, 1]);
    const model = functionalModel(copy, OPTIMIZERS['Adamax']!(tf));
    await train(tf, model, 0, 3);
    await model.save(url);
    const loaded = await copy.loadLayersModel(url);
    for (const each of [model, loaded]) await train(tf, each, 3, 6);
    expect(optimizerOf(loaded)).toEqual(optimizerOf(model));
  });
});
