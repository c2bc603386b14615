/** What saving a model must do on every backend while training goes on, whatever becomes of it. */
import { readdirSync, rmSync } from 'node:fs';
import type * as tensorflow from '@tensorflow/tfjs';
import { describe, expect, test } from 'vitest';
import type { CheckpointManager } from '../../src/manager/manager.js';
import { keep } from '../../src/policy/keep.js';
import { every } from '../../src/policy/trigger.js';
import { restoreModel, type SaveModelOptions, saveModel, saveModelAsync, stepModel } from '../../src/tfjs/index.js';
import { freshDirectory } from './directory.js';
import { rejection } from './errors.js';
import { openManager } from './manager.js';
import { alive, INPUTS, numbers, OUTPUTS, sequentialModel, train } from './tfjs.js';
import { activate, type LoadedBackend } from './tfjs-backends.js';
import { holdUp, stateOf } from './tfjs-saving.js';

const BEFORE = 5;
const MORE = 50;
/** Weights, two slots of each trained one, and Adam's running products of beta. */
const TENSORS = 9 + 2 * 7 + 2;

export function savingSuite({ tf, name: backendName, inJavaScript }: LoadedBackend): void {
  const build = () => sequentialModel(tf, tf.train.adam(0.01, 0.85, 0.99));

  async function trained(): Promise<{ manager: CheckpointManager; model: tensorflow.Sequential; directory: string }> {
    const directory = freshDirectory();
    const manager = await openManager(directory, { keep: [keep.all()] });
    const model = build();
    await train(tf, model, 0, BEFORE);
    return { manager, model, directory };
  }

  /** What a checkpoint has, seen through a model built anew. */
  async function restoredState(manager: CheckpointManager, step = BEFORE) {
    const model = build();
    const restored = await restoreModel(manager, model, { step });
    const state = stateOf(model);
    model.optimizer.dispose();
    model.dispose();
    return { state, given: restored?.state };
  }

  /** What happens, and whether the model is still there then. */
  const AFTERWARDS: [string, (model: tensorflow.Sequential) => unknown, boolean][] = [
    ['50 steps of training', (model) => train(tf, model, BEFORE, BEFORE + MORE), true],
    ['setWeights', (model) => tf.tidy(() => model.setWeights(model.getWeights().map((weight) => tf.zerosLike(weight)))), true],
    [
      'dispose of model and optimizer',
      (model) => {
        model.optimizer.dispose();
        model.dispose();
      },
      false,
    ],
  ];

  describe.each(AFTERWARDS)('%s before anything is read', (_, afterwards, stays) => {
    test.each(['device', 'host'] as const)('do not reach the checkpoint (hold: "%s")', async (hold) => {
      const { manager, model } = await trained();
      const expected = stateOf(model);
      const gate = holdUp(manager);
      const state = { rng: [1, 2, 3] };
      const before = alive(tf);
      const saving = saveModel(manager, model, { step: BEFORE, hold, state });
      const held = hold === 'host' || inJavaScript ? 0 : TENSORS;
      expect(alive(tf)).toEqual({ ...before, numTensors: before.numTensors + held });
      state.rng.push(4);
      await afterwards(model);
      const changed = alive(tf);
      await gate.open();
      await saving;
      // Where the model is gone, the data went with the last tensor that shared it.
      const gone = { numTensors: changed.numTensors - held, numDataBuffers: changed.numDataBuffers - held };
      expect(alive(tf)).toEqual(stays ? before : gone);
      expect(await restoredState(manager)).toEqual({ state: expected, given: { rng: [1, 2, 3] } });
    });
  });

  test('while the save is written training goes on, and goes on exactly from the checkpoint on the cpu backend', async () => {
    const { manager, model } = await trained();
    const expected = stateOf(model);
    const pending = await saveModelAsync(manager, model, { step: BEFORE });
    await train(tf, model, BEFORE, BEFORE + MORE);
    await pending.committed;
    try {
      await activate(tf, 'cpu');
      const [one, other] = [build(), build()];
      for (const each of [one, other]) await restoreModel(manager, each, { step: BEFORE });
      expect(stateOf(one)).toEqual(expected);
      for (const each of [one, other]) await train(tf, each, BEFORE, BEFORE + MORE);
      expect(stateOf(one)).toEqual(stateOf(other));
      if (inJavaScript) expect(stateOf(one)).toEqual(stateOf(model));
    } finally {
      await activate(tf, backendName);
    }
  });

  test('a restored model goes on exactly on this backend', async () => {
    const { manager, model } = await trained();
    const saving = saveModel(manager, model, { step: BEFORE });
    await train(tf, model, BEFORE, BEFORE + MORE);
    await saving;
    const fresh = build();
    await restoreModel(manager, fresh);
    await train(tf, fresh, BEFORE, BEFORE + MORE);
    expect(stateOf(fresh)).toEqual(stateOf(model));
  });

  test('a weak restore into a model with another head takes what fits, and no tensor stays', async () => {
    const { manager, model } = await trained();
    await saveModel(manager, model, { step: BEFORE });
    const target = tf.sequential({ layers: [...build().layers.slice(0, 3), tf.layers.dense({ name: 'head', units: OUTPUTS + 1 })] });
    target.compile({ optimizer: tf.train.adam(0.5), loss: 'meanSquaredError' });
    const [fresh, before] = [stateOf(target), alive(tf)];
    const restored = await restoreModel(manager, target, 'latest', { mode: 'weak' });
    expect(alive(tf)).toEqual(before);
    expect(restored).toMatchObject({ optimizerRestored: false, match: { missing: [], extra: [], wrong: [{}, {}] } });
    const { 'head/kernel': kernel, 'head/bias': bias } = fresh.weights;
    expect(stateOf(target)).toEqual({ ...fresh, weights: { ...stateOf(model).weights, 'head/kernel': kernel, 'head/bias': bias } });
    await rejection(
      restoreModel(manager, tf.sequential({ layers: [tf.layers.dense({ units: 1, inputShape: [1] })] }), 'latest', {
        mode: 'weak',
      }),
      'ERR_MODEL_MISMATCH',
    );
  });

  test('from a callback of fit, after every batch, without waiting: each checkpoint is of its own step', async () => {
    const { manager, model } = await trained();
    const x = tf.tensor2d(numbers(32 * INPUTS, 1), [32, INPUTS]);
    const y = tf.tidy(() => tf.oneHot(tf.range(0, 32, 1, 'int32').mod(tf.scalar(OUTPUTS, 'int32')), OUTPUTS).toFloat());
    const states: unknown[] = [];
    const saves: Promise<unknown>[] = [];
    const before = alive(tf);
    await model.fit(x, y, {
      epochs: 3,
      batchSize: 8,
      verbose: 0,
      callbacks: {
        onBatchEnd() {
          states.push(stateOf(model));
          saves.push(saveModel(manager, model, { step: states.length }));
        },
      },
    });
    await Promise.all(saves);
    expect(alive(tf)).toEqual(before);
    expect(states).toHaveLength(12);
    for (const [i, state] of states.entries()) expect((await restoredState(manager, i + 1)).state).toEqual(state);
  });

  test('inside of tidy, of minimize and of a scope that stays open while the save runs', async () => {
    const { manager, model } = await trained();
    const { optimizer } = model;
    const expected = stateOf(model);
    const before = alive(tf);
    const gate = holdUp(manager);
    const saves: Promise<unknown>[] = [];
    tf.tidy(() => {
      saves.push(saveModel(manager, model, { step: 1 }));
    });
    const loss = () => {
      saves.push(saveModel(manager, model, { step: 2 }));
      return (model.apply(tf.ones([4, INPUTS]), { training: true }) as tensorflow.Tensor).square().mean().asScalar();
    };
    optimizer.minimize(
      loss,
      false,
      model.trainableWeights.map((weight) => weight.read() as tensorflow.Variable),
    );
    tf.engine().startScope();
    saves.push(saveModel(manager, model, { step: 3 }));
    const after = stateOf(model);
    const outcomes = Promise.allSettled(saves);
    await gate.open();
    await Promise.allSettled([saves[0]]);
    tf.engine().endScope();
    expect((await outcomes).map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled']);
    expect(alive(tf)).toEqual(before);
    expect((await restoredState(manager, 1)).state).toEqual(expected);
    expect((await restoredState(manager, 2)).state).toEqual(expected);
    expect((await restoredState(manager, 3)).state).toEqual(after);
  });

  describe('no tensor stays', () => {
    const refused = (options: Partial<SaveModelOptions>) => ({ step: BEFORE, ...options }) as SaveModelOptions;
    test.each([
      ['an aborted signal', refused({ signal: AbortSignal.abort() }), 'ERR_ABORTED'],
      ['a step that is none', refused({ step: -1 }), 'ERR_INVALID_ARGUMENT'],
      ['state that JSON would alter', refused({ state: { bad: Number.NaN } }), 'ERR_INVALID_STATE'],
      ['an attachment whose name is taken', refused({ attachments: [{ name: 'model.json', data: '' }] }), 'ERR_INVALID_NAME'],
      ['attachments that are no list', refused({ attachments: 7 as never }), undefined],
      ['an unknown way to hold', refused({ hold: 'disk' as never }), 'ERR_INVALID_ARGUMENT'],
      ['stable that is no boolean', refused({ stable: 1 as never }), 'ERR_INVALID_ARGUMENT'],
    ] as const)('after %s', async (_, options, code) => {
      const { manager, model } = await trained();
      const before = alive(tf);
      for (const call of [saveModel, saveModelAsync]) {
        const saving = call(manager, model, options);
        if (code === undefined) await expect(saving).rejects.toThrow();
        else await rejection(saving, code);
        expect(alive(tf)).toEqual(before);
      }
    });

    test('after a model whose last optimizer slot cannot be captured', async () => {
      const { manager, model } = await trained();
      const slots = (model.optimizer as unknown as { accumulatedSecondMoment: { variable: tensorflow.Variable }[] })
        .accumulatedSecondMoment;
      slots.at(-1)?.variable.dispose();
      const before = alive(tf);
      for (const call of [saveModel, saveModelAsync]) await rejection(call(manager, model, { step: BEFORE }), 'ERR_MODEL');
      expect(alive(tf)).toEqual(before);
    });

    test('after a manager that is closed, or only reads', async () => {
      const { manager, model, directory } = await trained();
      const reader = await openManager(directory, { readOnly: true });
      await manager.close();
      const before = alive(tf);
      for (const call of [saveModel, saveModelAsync]) {
        await rejection(call(manager, model, { step: BEFORE }), 'ERR_CLOSED');
        await rejection(call(reader, model, { step: BEFORE }), 'ERR_READ_ONLY');
      }
      expect(alive(tf)).toEqual(before);
    });

    test('after an abort while it waits, and one while it is written', async () => {
      const { manager, model, directory } = await trained();
      const before = alive(tf);
      const gate = holdUp(manager);
      const waiting = new AbortController();
      const saving = saveModel(manager, model, { step: BEFORE, signal: waiting.signal });
      waiting.abort();
      await rejection(saving, 'ERR_ABORTED');
      expect(alive(tf)).toEqual(before);
      await gate.open();
      // The worker may be done before this thread hears that it writes.
      let outcome: unknown;
      for (let tries = 0; outcome !== 'ERR_ABORTED' && tries < 20; tries++) {
        const writing = new AbortController();
        const request = { step: BEFORE, signal: writing.signal, onProgress: () => writing.abort() };
        outcome = await saveModel(manager, model, request).then(
          (saved) => rmSync(saved.path, { recursive: true }),
          (error) => error.code,
        );
        expect(alive(tf)).toEqual(before);
      }
      expect(outcome).toBe('ERR_ABORTED');
      expect(readdirSync(directory).filter((name) => name.includes(`step0000000${BEFORE}`) || name.startsWith('.tmp-'))).toEqual([]);
    });

    test('after saves that are skipped, replaced or cancelled', async () => {
      const { manager, model } = await trained();
      const before = alive(tf);
      const gate = holdUp(manager);
      const skipped = await saveModelAsync(manager, model, { step: 1, whenBusy: 'skip' });
      expect(skipped.status).toBe('skipped');
      expect(await skipped.committed).toBeNull();
      expect(alive(tf)).toEqual(before);
      const replaced = await saveModelAsync(manager, model, { step: 2, whenBusy: 'replace' });
      const held = alive(tf);
      expect(held.numTensors > before.numTensors).toBe(!inJavaScript);
      const newer = await saveModelAsync(manager, model, { step: 3, whenBusy: 'replace' });
      await rejection(replaced.committed, 'ERR_REPLACED');
      expect(alive(tf)).toEqual(held);
      expect(await newer.cancel()).toBe(true);
      await rejection(newer.committed, 'ERR_ABORTED');
      expect(alive(tf)).toEqual(before);
      await gate.open();
    });

    test('after steps that are not due, skipped, refused and saved', async () => {
      const directory = freshDirectory();
      const manager = await openManager(directory, { trigger: every.steps(BEFORE), keep: keep.all() });
      const model = build();
      await train(tf, model, 0, BEFORE);
      const expected = stateOf(model);
      const before = alive(tf);
      expect((await stepModel(manager, model, { step: BEFORE - 1 })).due).toBe(false);
      const gate = holdUp(manager);
      expect((await stepModel(manager, model, { step: BEFORE, whenBusy: 'skip' })).pending?.status).toBe('skipped');
      await gate.open();
      await rejection(stepModel(manager, model, { step: 2 * BEFORE, rng: () => Number.NaN }), 'ERR_INVALID_STATE');
      await rejection(stepModel(manager, model, { step: 2 * BEFORE, tags: ['a/b'] }), 'ERR_INVALID_NAME');
      expect(alive(tf)).toEqual(before);
      const { pending } = await stepModel(manager, model, { step: 2 * BEFORE, rng: () => [1] });
      await train(tf, model, BEFORE, BEFORE + MORE);
      expect(await pending?.committed).toMatchObject({ warnings: [] });
      expect(alive(tf)).toEqual(before);
      expect((await restoredState(manager, 2 * BEFORE)).state).toEqual(expected);
    });

    test('after an asynchronous save that is committed', async () => {
      const { manager, model } = await trained();
      const expected = stateOf(model);
      const before = alive(tf);
      const pending = await saveModelAsync(manager, model, { step: BEFORE });
      expect(pending).toMatchObject({ status: 'accepted', stallMs: expect.any(Number) });
      expect(await pending.committed).toMatchObject({ warnings: [] });
      expect(alive(tf)).toEqual(before);
      expect((await restoredState(manager)).state).toEqual(expected);
    });
  });

  test('the warnings of the model are in the result of an asynchronous save', async () => {
    const manager = await openManager(freshDirectory());
    const model = sequentialModel(tf);
    model.compile({ optimizer: 'sgd', loss: (truth, guess) => tf.losses.meanSquaredError(truth, guess) });
    const { committed } = await saveModelAsync(manager, model, { step: 0 });
    expect((await committed)?.warnings).toEqual([expect.stringContaining('The loss is a function')]);
  });

  test('a tensor that is disposed of by force before it is read', async () => {
    const { manager, model, directory } = await trained();
    await saveModel(manager, model, { step: 1 });
    const before = alive(tf);
    const gate = holdUp(manager);
    const saving = saveModel(manager, model, { step: 2 });
    const kernel = model.getLayer('hidden').weights[0]!;
    tf.findBackend(backendName).disposeData(kernel.read().dataId, true);
    await gate.open();
    if (inJavaScript) await saving;
    else expect((await rejection(saving, 'ERR_SOURCE')).tensors).toEqual([kernel.originalName]);
    expect(alive(tf).numTensors).toBe(before.numTensors);
    const left = readdirSync(directory).filter((name) => name.includes('step00000002') || name.startsWith('.tmp-'));
    expect(left).toHaveLength(inJavaScript ? 1 : 0);
    await restoreModel(manager, build(), { step: 1 });
  });

  // The last test of the file: it takes the engine from all others.
  test('an engine that is reset before anything is read', async () => {
    const { manager, model, directory } = await trained();
    const expected = stateOf(model);
    await saveModel(manager, model, { step: 1 });
    const gate = holdUp(manager);
    const saving = saveModel(manager, model, { step: BEFORE });
    tf.engine().reset();
    await activate(tf, backendName);
    const before = alive(tf);
    await gate.open();
    if (inJavaScript) await saving;
    else await rejection(saving, 'ERR_SOURCE');
    expect(alive(tf)).toEqual(before);
    const names = readdirSync(directory).filter((name) => name.includes(`step0000000${BEFORE}`) || name.startsWith('.tmp-'));
    expect(names).toHaveLength(inJavaScript ? 1 : 0);
    expect((await restoredState(manager, 1)).state).toEqual(expected);
  });
}
