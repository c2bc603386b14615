/** `stepModel`: saves a model when the manager's trigger says so, and costs nothing when it does not. */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { keep } from '../../src/policy/keep.js';
import { every, on } from '../../src/policy/trigger.js';
import { restoreModel, type StepModelOptions, stepModel } from '../../src/tfjs/index.js';
import { freshDirectory } from '../helpers/directory.js';
import { rejection } from '../helpers/errors.js';
import { openManager } from '../helpers/manager.js';
import { preempt } from '../helpers/preempted.js';
import { alive, functionalModel, sequentialModel, train, weightsOf } from '../helpers/tfjs.js';
import { holdUp, stateOf } from '../helpers/tfjs-saving.js';

const NOT_DUE = { due: false, reason: undefined, pending: undefined };

beforeAll(async () => {
  await tf.setBackend('cpu');
});

test('saves when the trigger says so, in the background, and tells why', async () => {
  const manager = await openManager(freshDirectory(), { trigger: every.steps(3), keep: keep.all() });
  const model = sequentialModel(tf, 'adam');
  const states: Record<number, unknown> = {};
  for (let step = 1; step <= 7; step++) {
    await train(tf, model, step - 1, step);
    states[step] = stateOf(model);
    const result = await stepModel(manager, model, { step, epoch: 1, metrics: { loss: step } });
    if (step % 3 !== 0) expect(result).toEqual(NOT_DUE);
    else expect(result).toMatchObject({ due: true, reason: `step ${step} was reached`, pending: { status: 'accepted' } });
  }
  await manager.flush();
  const steps: (number | null)[] = [];
  for await (const { step } of manager.list()) steps.push(step);
  expect(steps).toEqual([3, 6]);
  for (const step of [3, 6]) {
    const fresh = sequentialModel(tf, 'adam');
    expect(await restoreModel(manager, fresh, { step })).toMatchObject({
      step,
      epoch: 1,
      metrics: { loss: step },
      optimizerRestored: true,
    });
    expect(stateOf(fresh)).toEqual(states[step]);
  }
});

test('what is costly is asked for, and the model looked at, only when a save is due; all is captured in the call', async () => {
  const manager = await openManager(freshDirectory(), { trigger: every.steps(2) });
  const model = functionalModel(tf, 'adam');
  const toJSON = vi.spyOn(model, 'toJSON');
  const rng = [1, 2];
  const costly = { state: vi.fn(() => ({ a: 1 })), scheduler: vi.fn(() => 2), rng: vi.fn(() => rng), dataPosition: vi.fn(() => [3]) };
  const options = { ...costly, config: 'c', tags: ['t'] };
  expect(await stepModel(manager, model, { step: 1, ...options })).toEqual(NOT_DUE);
  for (const each of [toJSON, ...Object.values(costly)]) expect(each).not.toHaveBeenCalled();
  const stepping = stepModel(manager, model, { step: 2, ...options });
  for (const each of [toJSON, ...Object.values(costly)]) expect(each).toHaveBeenCalledOnce();
  const atSave = weightsOf(model);
  rng.push(9);
  await train(tf, model, 0, 2);
  await (await stepping).pending?.committed;
  const fresh = functionalModel(tf, 'adam');
  const expected = { step: 2, state: { a: 1 }, scheduler: 2, rng: [1, 2], dataPosition: [3], config: 'c' };
  expect(await restoreModel(manager, fresh, 't')).toMatchObject(expected);
  expect(weightsOf(fresh)).toEqual(atSave);
});

test('the stall that it tells of includes capturing the model', async () => {
  const manager = await openManager(freshDirectory(), { trigger: every.steps(1) });
  const model = functionalModel(tf);
  const toJSON = model.toJSON.bind(model);
  model.toJSON = ((...args: Parameters<typeof toJSON>) => {
    const until = performance.now() + 30;
    while (performance.now() < until);
    return toJSON(...args);
  }) as typeof model.toJSON;
  expect((await stepModel(manager, model, { step: 1 })).pending?.stallMs).toBeGreaterThan(30);
});

test('goes on after restoreModel from where it was', async () => {
  const directory = freshDirectory();
  const trigger = every.epochs(2);
  const model = functionalModel(tf, 'adam');
  const saved: number[] = [];
  const run = async (from: number, to: number) => {
    const manager = await openManager(directory, { trigger, keep: keep.all() });
    const restored = await restoreModel(manager, model);
    expect(restored?.initialEpoch ?? 0).toBe(from);
    for (let epoch = from; epoch < to; epoch++) {
      const { due, pending } = await stepModel(manager, model, { step: 10 * (epoch + 1), epoch: epoch + 1 });
      if (due && (await pending.committed) !== null) saved.push(epoch + 1);
    }
    await manager.close();
  };
  await run(0, 3);
  await run(2, 6);
  expect(saved).toEqual([2, 4, 6]);
});

test('by improvement, and of weights only', async () => {
  const manager = await openManager(freshDirectory(), { monitor: 'val_loss', saveBestOnly: true, contents: 'weights', keep: keep.all() });
  const model = functionalModel(tf, 'adam');
  const saved: number[] = [];
  for (const [step, val_loss] of [3, 2, Number.NaN, 2.5, 1].entries()) {
    if ((await stepModel(manager, model, { step, metrics: { val_loss } })).due) saved.push(step);
    await manager.flush();
  }
  expect(saved).toEqual([0, 1, 4]);
  expect((await manager.restore('best'))?.info).toMatchObject({ step: 4, contents: 'weights' });
});

describe('what it refuses', () => {
  test('a manager without a trigger, one that only reads, one that is closed', async () => {
    const directory = freshDirectory();
    const manager = await openManager(directory);
    const reader = await openManager(directory, { readOnly: true });
    const model = functionalModel(tf);
    expect((await rejection(stepModel(manager, model, { step: 1 }), 'ERR_INVALID_ARGUMENT')).message).toContain('trigger');
    await rejection(stepModel(reader, model, { step: 1 }), 'ERR_READ_ONLY');
    await manager.close();
    await rejection(stepModel(manager, model, { step: 1 }), 'ERR_CLOSED');
  });

  test('misspelled options and a step that is none, also when no save is due', async () => {
    const manager = await openManager(freshDirectory(), { trigger: every.steps(100) });
    const model = functionalModel(tf);
    const refused = (options: object) => stepModel(manager, model, options as StepModelOptions);
    await rejection(refused({ step: 1, rngs: 1 }), 'ERR_UNKNOWN_OPTION');
    for (const step of [undefined, '100', -1, 1.5, Number.NaN]) await rejection(refused({ step }), 'ERR_INVALID_ARGUMENT');
    await rejection(refused({ step: 1, epoch: 0.5 }), 'ERR_INVALID_ARGUMENT');
  });

  test('when a save is due: a model that cannot be saved, what a function throws, state that JSON would alter. The next step is asked again', async () => {
    const directory = freshDirectory();
    const manager = await openManager(directory, { trigger: every.steps(2) });
    const model = functionalModel(tf);
    const disposed = sequentialModel(tf);
    disposed.dispose();
    const before = alive(tf);
    await rejection(stepModel(manager, disposed, { step: 2 }), 'ERR_MODEL');
    const state = () => expect.fail('no state today');
    await expect(stepModel(manager, model, { step: 2, state } as never)).rejects.toThrow('no state today');
    await rejection(stepModel(manager, model, { step: 2, rng: () => Number.NaN }), 'ERR_INVALID_STATE');
    await rejection(stepModel(manager, model, { step: 2, state: () => (() => 1) as never }), 'ERR_INVALID_STATE');
    expect(alive(tf)).toEqual(before);
    expect(readdirSync(directory).filter((name) => name.startsWith('checkpoint'))).toEqual([]);
    expect((await stepModel(manager, model, { step: 2 })).due).toBe(true);
  });
});

test('a step that is skipped because others are in flight holds nothing, and says so', async () => {
  const manager = await openManager(freshDirectory(), { trigger: every.steps(1), maxInFlight: 1 });
  const model = functionalModel(tf, 'adam');
  const before = alive(tf);
  const gate = holdUp(manager);
  expect(await stepModel(manager, model, { step: 1, whenBusy: 'skip' })).toMatchObject({ due: true, pending: { status: 'skipped' } });
  expect(alive(tf)).toEqual(before);
  await gate.open();
});

describe('when the process is told to end', () => {
  const SCRIPT = `
    const { anyOf, every, on } = await import('holdfast');
    const { stepModel } = await import('holdfast/tfjs');
    const tf = await import('@tensorflow/tfjs');
    tf.enableProdMode();
    await tf.setBackend('cpu');
    const model = tf.sequential({ layers: [tf.layers.dense({ name: 'd', units: 2, inputShape: [3] })] });
    model.compile({ optimizer: tf.train.adam(0.01), loss: 'meanSquaredError' });
    const trigger = anyOf(every.steps(100000), on.preemption());
    const own = await CheckpointManager.open(directory + '/own', { engine, trigger });
    const [x, y] = [tf.ones([4, 3]), tf.ones([4, 2])];
    for (let step = 1; ; step++) {
      await model.trainOnBatch(x, y);
      const { due, reason } = await stepModel(own, model, { step, state: () => ({ step }) });
      if (due) say(JSON.stringify({ step, reason, kernel: [...model.getWeights()[0].dataSync()] }));
      if (step === 3) say('ready');
      await later(20);
    }
  `;

  test('the next step is saved, and then it ends', async () => {
    const ran = await preempt(SCRIPT);
    expect([ran.signal, ran.log.at(-1)]).toEqual(['SIGTERM', expect.stringContaining('done')]);
    expect(ran.said).toHaveLength(1);
    const { step, reason, kernel } = JSON.parse(ran.said[0] as string);
    expect([reason, step >= 3]).toEqual(['the process is about to end', true]);
    const manager = await openManager(path.join(ran.directory, 'own'));
    const model = tf.sequential({ layers: [tf.layers.dense({ name: 'd', units: 2, inputShape: [3] })] });
    model.compile({ optimizer: tf.train.adam(1), loss: 'meanSquaredError' });
    expect(await restoreModel(manager, model)).toMatchObject({ step, state: { step }, optimizerRestored: true });
    expect([...model.getWeights()[0]!.dataSync()]).toEqual(kernel);
    const steps: (number | null)[] = [];
    for await (const info of manager.list()) steps.push(info.step);
    expect(steps).toEqual([step]);
  });

  test('the trigger asks for nothing while it is not', async () => {
    const manager = await openManager(freshDirectory(), { trigger: on.preemption() });
    expect(await stepModel(manager, functionalModel(tf), { step: 1 })).toEqual(NOT_DUE);
  });
});
