/** What a restore holds of the device's memory, what becomes of a model when there is no room, and that nothing stays. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import type * as tensorflow from '@tensorflow/tfjs';
import { describe, expect, onTestFinished, test } from 'vitest';
import { restoreModel, restoreVariables, saveModel, saveVariables } from '../../src/tfjs/index.js';
import { freshDirectory } from './directory.js';
import { rejection } from './errors.js';
import { openManager } from './manager.js';
import { alive, functionalModel, INPUTS, numbers, sequentialModel, train } from './tfjs.js';
import type { LoadedBackend } from './tfjs-backends.js';
import { runOutAfter, watchDevice } from './tfjs-device.js';
import { stateOf } from './tfjs-saving.js';

const UNITS = [40, 64, 48];
/** Bytes of the largest weight. */
const LARGEST = 4 * 64 * 48;

/** A directory in memory, where there is one: thousands of checkpoints are written to it. */
function fastDirectory(): string {
  if (!existsSync('/dev/shm')) return freshDirectory();
  const directory = mkdtempSync('/dev/shm/holdfast-test-');
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export function restoreMemorySuite({ tf }: LoadedBackend, times: number): void {
  const build = () => {
    const layers = UNITS.map((units, i) => tf.layers.dense({ name: `d${i}`, units, ...(i === 0 ? { inputShape: [INPUTS] } : {}) }));
    const model = tf.sequential({ layers: [...layers, tf.layers.dense({ name: 'head', units: 3, activation: 'softmax' })] });
    model.compile({ optimizer: tf.train.adam(0.01), loss: 'categoricalCrossentropy' });
    return model;
  };

  async function savedModel() {
    const manager = await openManager(freshDirectory());
    const model = build();
    await train(tf, model, 0, 3);
    expect((await saveModel(manager, model, { step: 3 })).warnings).toEqual([]);
    return { manager, model };
  }

  describe('device memory', () => {
    test('never holds more than the model and its largest tensor', async () => {
      const { manager, model } = await savedModel();
      const expected = stateOf(model);
      await train(tf, model, 3, 5);
      const before = alive(tf);
      const seen = watchDevice(tf);
      await restoreModel(manager, model);
      expect(alive(tf)).toEqual(before);
      expect(seen.most).toEqual({ bytes: LARGEST, buffers: 1 });
      expect(seen.mostCounted).toBeLessThanOrEqual(LARGEST);
      expect(seen.now).toEqual({ bytes: 0, buffers: 0 });
      expect(stateOf(model)).toEqual(expected);
    });

    test('with an optimizer that has no slots yet: no more than in the end, and the largest tensor', async () => {
      const { manager, model } = await savedModel();
      const fresh = build();
      const seen = watchDevice(tf);
      await restoreModel(manager, fresh);
      const slots = 2 * fresh.countParams() * 4;
      expect(seen.now.bytes).toBe(slots);
      expect(seen.most.bytes).toBeLessThanOrEqual(slots + LARGEST);
      expect(seen.most.buffers).toBe(2 * fresh.weights.length + 1);
      expect(stateOf(fresh)).toEqual(stateOf(model));
    });

    test('where the first tensor finds no room, nothing is changed', async () => {
      const { manager, model } = await savedModel();
      await train(tf, model, 3, 5);
      const fresh = build();
      for (const [each, room] of [
        [model, 0],
        [fresh, 0],
        [fresh, 2 * UNITS.length],
      ] as const) {
        const before = [stateOf(each), alive(tf)];
        const device = runOutAfter(tf, { tensors: room });
        const error = await rejection(restoreModel(manager, each), 'ERR_MODEL');
        device.end();
        expect(error.message).toContain('Nothing in the model was changed');
        expect(error.message).toContain('out of memory');
        expect([stateOf(each), alive(tf)]).toEqual(before);
      }
    });

    test('where there is room for all but the largest tensor, nothing is changed', async () => {
      const { manager, model } = await savedModel();
      await train(tf, model, 3, 5);
      const before = [stateOf(model), alive(tf)];
      const device = runOutAfter(tf, { bytes: LARGEST - 1 });
      await rejection(restoreModel(manager, model), 'ERR_MODEL');
      device.end();
      expect([stateOf(model), alive(tf)]).toEqual(before);
    });

    test('where a later one does not, ERR_HALF_RESTORED says which are missing; a second restore makes it whole', async () => {
      const { manager, model } = await savedModel();
      const expected = stateOf(model);
      await train(tf, model, 3, 5);
      const before = alive(tf);
      const device = runOutAfter(tf, { tensors: 4 });
      const error = await rejection(restoreModel(manager, model), 'ERR_HALF_RESTORED');
      device.end();
      const total = 3 * model.weights.length + 2;
      expect(error.tensors).toHaveLength(total - 4);
      expect(error.message).toContain('restore again');
      expect(alive(tf)).toEqual(before);
      expect(stateOf(model)).not.toEqual(expected);
      await restoreModel(manager, model);
      expect([stateOf(model), alive(tf)]).toEqual([expected, before]);
    });

    test('in variables, too', async () => {
      const manager = await openManager(freshDirectory());
      const shape = [32, 32];
      const make = (seed: number) =>
        Object.fromEntries(
          ['a', 'b', 'c'].map((name, i) => [name, tf.tidy(() => tf.variable(tf.tensor(numbers(1024, seed + i), shape)))]),
        ) as Record<string, tensorflow.Variable>;
      const [variables, others] = [make(1), make(9)];
      await saveVariables(manager, variables, { step: 1 });
      const seen = watchDevice(tf);
      await restoreVariables(manager, others);
      expect(seen).toMatchObject({ most: { bytes: 4096, buffers: 1 }, now: { bytes: 0, buffers: 0 } });
      const device = runOutAfter(tf, { tensors: 1 });
      const error = await rejection(restoreVariables(manager, others), 'ERR_HALF_RESTORED');
      device.end();
      expect(error.message).toContain('the variables');
      expect(error.tensors).toHaveLength(2);
    });
  });

  test(`${times} saves and ${times} restores of a model and of variables leave tf.memory() as it was`, async () => {
    const manager = await openManager(fastDirectory());
    const bare = await openManager(fastDirectory());
    const model = functionalModel(tf, 'adam');
    const wide = sequentialModel(tf, 'adam');
    const variable = tf.tidy(() => tf.variable(tf.tensor1d([1, 2, 3])));
    const optimizer = tf.train.adam(0.1);
    await train(tf, model, 0, 2);
    await train(tf, wide, 0, 2);
    optimizer.minimize(() => variable.square().sum().asScalar(), false, [variable]);
    const before = alive(tf);
    const { numBytes } = tf.memory();
    for (let step = 0; step < times; step++) {
      await saveModel(manager, step % 10 === 0 ? wide : model, { step });
      await restoreModel(manager, step % 10 === 0 ? wide : model);
      if (step % 4 > 0) continue;
      await saveVariables(bare, { variable }, { step, optimizer });
      await restoreVariables(bare, { variable }, 'latest', { optimizer });
    }
    expect(alive(tf)).toEqual(before);
    expect(tf.memory().numBytes).toBe(numBytes);
  }, 240_000);
}
