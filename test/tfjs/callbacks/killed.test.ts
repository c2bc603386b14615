/** A fit that is killed in the middle: every checkpoint that stands there is what training was at its step, and training goes on from it. */
import * as tf from '@tensorflow/tfjs';
import { beforeAll, expect, test } from 'vitest';
import { restoreModel, TrainingState } from '../../../src/tfjs/index.js';
import { ended, printed, startNode } from '../../helpers/child.js';
import { freshDirectory } from '../../helpers/directory.js';
import { openManager } from '../../helpers/manager.js';
import { stateOf } from '../../helpers/tfjs-saving.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

/** The same model and the same data everywhere. */
const SETUP = `
  const make = (tf) => {
    const init = (seed) => ({ kernelInitializer: tf.initializers.glorotUniform({ seed }) });
    const model = tf.sequential();
    model.add(tf.layers.dense({ name: 'one', inputShape: [4], units: 8, activation: 'tanh', ...init(1) }));
    model.add(tf.layers.dense({ name: 'two', units: 1, ...init(2) }));
    model.compile({ optimizer: tf.train.adam(0.01), loss: 'meanSquaredError' });
    return model;
  };
  const run = (tf, model, epochs, callbacks) => {
    const x = tf.tensor2d(Array.from({ length: 96 }, (_, i) => Math.sin(i)), [24, 4]);
    const y = tf.tensor2d(Array.from({ length: 24 }, (_, i) => Math.cos(i)), [24, 1]);
    return model.fit(x, y, { verbose: 0, epochs, batchSize: 8, shuffle: false, callbacks });
  };
`;
const { make, run } = new Function(`${SETUP} return { make, run };`)() as {
  make(lib: typeof tf): tf.LayersModel;
  run(lib: typeof tf, model: tf.LayersModel, epochs: number, callbacks: object): Promise<tf.History>;
};

test.each([7, 41])('behind batch %i', async (batches) => {
  const directory = freshDirectory();
  const child = startNode(
    `
    import { createRequire } from 'node:module';
    const tf = createRequire(process.cwd() + '/x.js')('@tensorflow/tfjs');
    const { PeriodicCheckpoint, ModelCheckpoint, TrainingState } = await import(process.argv[2]);
    ${SETUP}
    let seen = 0;
    const state = new TrainingState();
    const wait = { onBatchEnd: () => (++seen === Number(process.argv[3]) ? (console.log('now'), new Promise((resolve) => setTimeout(resolve, 60000))) : undefined) };
    await run(tf, make(tf), 20, [
      new PeriodicCheckpoint({ directory: process.argv[1], everySteps: 2, trainingState: state }),
      new ModelCheckpoint(process.argv[1] + '/e{epoch}', { trainingState: state }),
      state,
      wait,
    ]);`,
    [directory, new URL('../../../dist/tfjs/index.js', import.meta.url).href, String(batches)],
  );
  await printed(child, 'now');
  child.kill('SIGKILL');
  expect((await ended(child)).signal).toBe('SIGKILL');

  const straight: unknown[] = [];
  const model = make(tf);
  await run(tf, model, 20, { onBatchEnd: () => void straight.push(stateOf(model)) });

  const manager = await openManager(directory);
  let checked = 0;
  for await (const { name, step, status } of manager.list()) {
    expect(status).toBe('good');
    const other = make(tf);
    const restored = await restoreModel(manager, other, name);
    expect(stateOf(other)).toEqual(straight[(step as number) - 1]);
    const state = new TrainingState();
    state.restore((restored?.state as { training: null } | undefined)?.training ?? null);
    expect(state.globalStep).toBe(step);
    expect(state.epoch).toBe(restored?.initialEpoch);
    other.dispose();
    checked++;
  }
  // The one before the last was durable when the last was accepted; and waiting gave both the time.
  expect(checked).toBeGreaterThan(2);
});
