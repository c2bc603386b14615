/** What of variables is refused, by name, and nothing is changed; what is between models and variables, and restores that take a part. */
import { readdirSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, test } from 'vitest';
import { keep } from '../../src/policy/keep.js';
import {
  loadModel,
  type RestoreVariablesOptions,
  restoreModel,
  restoreVariables,
  saveModel,
  saveVariables,
  saveVariablesAsync,
  stepVariables,
} from '../../src/tfjs/index.js';
import { freshDirectory } from '../helpers/directory.js';
import { rejection } from '../helpers/errors.js';
import { openManager } from '../helpers/manager.js';
import { alive, fieldsOf, functionalModel, train, weightsOf } from '../helpers/tfjs.js';
import { makeVariables, type Named, trainVariables, valuesOf } from '../helpers/tfjs-variables-suite.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

/** Variables that have been trained for some steps, saved. */
async function saved(options: { optimizer?: tf.Optimizer } = {}) {
  const directory = freshDirectory();
  const manager = await openManager(directory, { keep: keep.all() });
  const variables = makeVariables(tf);
  const optimizer = options.optimizer ?? tf.train.adam(0.01);
  trainVariables(tf, variables, optimizer, 0, 3);
  await saveVariables(manager, variables, { step: 3, optimizer });
  return { directory, manager, variables, optimizer };
}

describe('saving refuses, before anything is written,', () => {
  async function refused(variables: unknown, code: 'ERR_INVALID_ARGUMENT' | 'ERR_MODEL' = 'ERR_INVALID_ARGUMENT', options = {}) {
    const directory = freshDirectory();
    const manager = await openManager(directory);
    const before = alive(tf);
    const error = await rejection(saveVariables(manager, variables as Named, { step: 1, ...options }), code);
    await rejection(saveVariablesAsync(manager, variables as Named, { step: 1, ...options }), code);
    expect(alive(tf)).toEqual(before);
    expect(readdirSync(directory).filter((name) => name.startsWith('checkpoint'))).toEqual([]);
    return error;
  }

  test('what are no variables', async () => {
    const tensor = tf.scalar(1);
    const weight = functionalModel(tf).weights[0];
    const nothing = [
      null,
      undefined,
      7,
      'a',
      [],
      {},
      new Map(),
      new Set(),
      [null],
      [tensor],
      { a: null },
      { a: 1 },
      new Map([[7, tf.variable(tensor)]]),
    ];
    for (const each of nothing) await refused(each);
    expect((await refused({ a: tensor })).message).toContain('tf.variable(tensor)');
    expect((await refused({ a: weight })).message).toContain('weight.read()');
    expect((await refused({ '': tf.variable(tensor) })).message).toContain('not empty');
  });

  test('two names of one variable, one name of two, a disposed one, one of a list that has no name', async () => {
    const [a, b] = [tf.variable(tf.scalar(1)), tf.variable(tf.scalar(2))];
    expect((await refused({ tied: a, other: a })).tensors).toEqual(['tied', 'other']);
    expect((await refused([a])).message).toContain('no name of its own');
    const named = tf.variable(tf.scalar(1), true, 'refused');
    await refused([named, named]);
    b.dispose();
    expect((await refused({ a, b }, 'ERR_MODEL')).tensors).toEqual(['b']);
    named.dispose();
  });

  test('an optimizer that has trained a variable that is not saved; that is unknown, disposed, or missing', async () => {
    const { frozen, embedding, ...rest } = makeVariables(tf);
    const optimizer = tf.train.adam(0.1);
    trainVariables(tf, { frozen, embedding, ...rest } as Named, optimizer, 0, 1);
    const error = await refused({ ...rest, frozen }, 'ERR_MODEL', { optimizer });
    expect(error.message).toContain(`is of the variable "${embedding?.name}", which is not among those that are saved`);
    const manager = await openManager(freshDirectory());
    await saveVariables(manager, { ...rest } as Named, { step: 1, optimizer, includeOptimizer: false });
    optimizer.dispose();
    await refused({ ...rest, embedding }, 'ERR_MODEL', { optimizer });
    await refused(rest, 'ERR_MODEL', { includeOptimizer: true });
    class Own extends tf.SGDOptimizer {
      static override get className() {
        return 'Own';
      }
    }
    await refused(rest, 'ERR_MODEL', { optimizer: new Own(0.1) });
  });

  test('an optimizer that used one slot for two variables, since its list changed', async () => {
    const [a, b] = [tf.variable(tf.scalar(1)), tf.variable(tf.scalar(2))];
    const optimizer = tf.train.adam(0.1);
    for (const list of [[a], [b, a]]) optimizer.minimize(() => a.mul(b).square().asScalar(), false, list);
    const error = await refused({ a, b }, 'ERR_MODEL', { optimizer });
    expect(error.message).toContain('in another order');
  });

  test('misspelled options', async () => {
    const manager = await openManager(freshDirectory());
    const variables = makeVariables(tf);
    for (const call of [saveVariables, saveVariablesAsync, stepVariables]) {
      await rejection(call(manager, variables, { step: 1, optimiser: 1 } as never), 'ERR_UNKNOWN_OPTION');
    }
    await rejection(restoreVariables(manager, variables, 'latest', { compile: {} } as never), 'ERR_UNKNOWN_OPTION');
    await rejection(restoreVariables(manager, variables, 'latest', { mode: 'some' } as never), 'ERR_INVALID_ARGUMENT');
    await rejection(stepVariables(manager, variables, { step: 1 }), 'ERR_INVALID_ARGUMENT');
    expect(await restoreVariables(manager, variables)).toBeNull();
  });
});

describe('restoring refuses, and leaves variables and optimizer as they were,', () => {
  async function refused(change: (variables: Named) => Named, options: RestoreVariablesOptions = {}, given?: tf.Optimizer) {
    const { manager } = await saved();
    const variables = change(makeVariables(tf, 9));
    const optimizer = given ?? tf.train.adam(0.5);
    const look = () => [valuesOf(variables), fieldsOf(optimizer), alive(tf)];
    const before = look();
    const error = await rejection(restoreVariables(manager, variables, 'latest', { optimizer, ...options }), 'ERR_MODEL_MISMATCH');
    expect(look()).toEqual(before);
    return error;
  }

  test('missing, additional and differently shaped variables, all of them listed', async () => {
    const one = tf.variable(tf.zeros([2, 2]));
    const error = await refused(({ embedding: _, ...rest }) => ({ ...rest, frozen: one, extra: tf.variable(tf.scalar(1)) }));
    expect(error.message).toContain('missing from the checkpoint: variable "extra"');
    expect(error.message).toContain('different: variable "frozen" is F32 [2] in the checkpoint and F32 [2, 2] in the variables');
    expect(error.message).toContain('only in the checkpoint: variable "embedding"');
    expect(error.message).toContain('optimizer state of "embedding", which is none of the variables');
    expect(error.message).toContain('restoreVariables takes rename');
  });

  test('another dtype, and another optimizer', async () => {
    const whole = (name: string) => (variables: Named) => ({ ...variables, [name]: tf.variable(tf.zeros([2], 'int32')) });
    expect((await refused(whole('frozen'))).message).toContain('is F32 [2] in the checkpoint and I32 [2]');
    expect((await refused((same) => same, {}, tf.train.adamax(0.1))).message).toContain('is Adam in the checkpoint and Adamax here');
  });

  test('an optimizer on one side only', async () => {
    const { manager, variables } = await saved();
    const error = await rejection(restoreVariables(manager, variables), 'ERR_MODEL_MISMATCH');
    expect(error.message).toContain('no optimizer was given');
    expect(await restoreVariables(manager, variables, 'latest', { includeOptimizer: false })).toMatchObject({ optimizerRestored: false });
    await saveVariables(manager, variables, { step: 4 });
    await rejection(restoreVariables(manager, variables, 'latest', { optimizer: tf.train.adam(0.1) }), 'ERR_MODEL_MISMATCH');
  });
});

describe('the first step after a restore', () => {
  test('with other variables throws before anything is changed; with those that were saved it goes on', async () => {
    const { manager, variables, optimizer } = await saved();
    const [others, other] = [makeVariables(tf, 9), tf.train.adam(0.5)];
    await restoreVariables(manager, others, 'latest', { optimizer: other });
    const { embedding, 'block/0/b': bias } = others as Record<string, tf.Variable>;
    const before = [valuesOf(others), fieldsOf(other)];
    for (const list of [
      [bias, embedding],
      [bias, embedding, others['frozen']],
    ] as tf.Variable[][]) {
      const step = () => trainVariables(tf, others, other, 3, 4, list);
      expect(step).toThrow(expect.objectContaining({ code: 'ERR_MODEL_MISMATCH', message: expect.stringContaining('other variables') }));
      expect([valuesOf(others), fieldsOf(other)]).toEqual(before);
    }
    for (const [each, by] of [
      [variables, optimizer],
      [others, other],
    ] as const)
      trainVariables(tf, each, by, 3, 6);
    expect(valuesOf(others)).toEqual(valuesOf(variables));
    expect(Object.hasOwn(other, 'applyGradients')).toBe(false);
  });
});

describe('a part', () => {
  test('under other names, by position, and what fits', async () => {
    const { manager, variables, optimizer } = await saved();
    const expected = valuesOf(variables);
    const others = Object.fromEntries(Object.entries(makeVariables(tf, 9)).map(([name, variable]) => [`new/${name}`, variable]));
    const values = () => Object.values(valuesOf(others));
    const other = tf.train.adam(0.5);
    await restoreVariables(manager, others, 'latest', { optimizer: other, rename: (name) => name.slice(4) });
    expect([values(), fieldsOf(other)]).toEqual([Object.values(expected), fieldsOf(optimizer)]);
    const third = tf.train.adam(0.5);
    await restoreVariables(manager, others, 'latest', { optimizer: third, match: 'position' });
    expect(fieldsOf(third)).toEqual(fieldsOf(optimizer));
    const { embedding: _, ...some } = makeVariables(tf, 5);
    const fresh = tf.train.adam(0.5);
    const part = await restoreVariables(manager, { ...some, head: tf.variable(tf.scalar(3)) }, 'latest', {
      mode: 'weak',
      optimizer: fresh,
    });
    expect(part).toMatchObject({ optimizerRestored: false, match: { missing: ['head'], extra: ['embedding'] } });
    expect(valuesOf(some)['frozen']).toBe(expected['frozen']);
    const { manager: unrelated } = await saved();
    await rejection(restoreVariables(unrelated, { q: tf.variable(tf.scalar(1)) }, 'latest', { mode: 'weak' }), 'ERR_MODEL_MISMATCH');
  });

  test('variables without an optimizer are a full checkpoint, of which training goes on; weights only if it is said', async () => {
    const manager = await openManager(freshDirectory(), { keep: keep.all() });
    const variables = makeVariables(tf);
    await saveVariables(manager, variables, { step: 1 });
    expect((await manager.restore())!.info.contents).toBe('full');
    await saveVariables(manager, variables, { step: 2, includeOptimizer: false });
    expect((await manager.restore())!.step).toBe(1);
    expect((await restoreVariables(manager, variables, { step: 2 }))!.info.contents).toBe('weights');
    const forWeights = await openManager(freshDirectory(), { contents: 'weights' });
    await saveVariables(forWeights, variables, { step: 3, optimizer: tf.train.adam(0.1) });
    expect(await restoreVariables(forWeights, variables)).toMatchObject({ step: 3, optimizerRestored: false });
  });
});

describe('between a model and variables', () => {
  const variablesOf = (model: tf.LayersModel) =>
    Object.fromEntries(model.weights.map((weight) => [weight.originalName, weight.read() as tf.Variable]));

  test("a model's checkpoint goes into variables, and back, with the optimizer", async () => {
    const manager = await openManager(freshDirectory());
    const model = functionalModel(tf, 'adam');
    await train(tf, model, 0, 3);
    await saveModel(manager, model, { step: 3 });
    const target = functionalModel(tf);
    const optimizer = tf.train.adam(0.5);
    await restoreVariables(manager, variablesOf(target), 'latest', { optimizer });
    expect([weightsOf(target), fieldsOf(optimizer)]).toEqual([weightsOf(model), fieldsOf(model.optimizer)]);
    await saveVariables(manager, variablesOf(model), { step: 4, optimizer: model.optimizer });
    const built = functionalModel(tf, 'adam');
    await restoreModel(manager, built);
    expect([weightsOf(built), fieldsOf(built.optimizer)]).toEqual([weightsOf(model), fieldsOf(model.optimizer)]);
    const error = await rejection(loadModel(manager), 'ERR_MODEL');
    expect(error.message).toContain('model.json');
    await train(tf, model, 3, 5);
    await train(tf, built, 3, 5);
    expect(weightsOf(built)).toEqual(weightsOf(model));
  });
});
