/** Restoring into another model: what fits is taken, the rest stays as it is, and what came of it is said. */
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, test } from 'vitest';
import type { CheckpointManager } from '../../src/manager/manager.js';
import { type RestoreModelOptions, restoreModel, saveModel } from '../../src/tfjs/index.js';
import { freshDirectory } from '../helpers/directory.js';
import { rejection } from '../helpers/errors.js';
import { openManager } from '../helpers/manager.js';
import { alive, fieldsOf, INPUTS, OPTIMIZERS, OUTPUTS, sequentialModel, train, weightsOf } from '../helpers/tfjs.js';
import { stateOf } from '../helpers/tfjs-saving.js';

const WEAK: RestoreModelOptions = { mode: 'weak' };

beforeAll(async () => {
  await tf.setBackend('cpu');
});

interface Parts {
  readonly body?: string;
  readonly head?: string;
  readonly classes?: number;
  /** A layer more that is not trained. */
  readonly frozen?: boolean;
  readonly optimizer?: tf.Optimizer | null;
}

/** A body, and a head of so many classes. */
function classifier({ body = 'body', head = 'head', classes = OUTPUTS, frozen = false, optimizer = tf.train.adam(0.01) }: Parts = {}) {
  const model = tf.sequential({
    layers: [
      tf.layers.dense({ name: body, inputShape: [INPUTS], units: 5, activation: 'tanh' }),
      ...(frozen ? [tf.layers.dense({ name: 'frozen', units: 5, trainable: false })] : []),
      tf.layers.dense({ name: head, units: classes, activation: 'softmax' }),
    ],
  });
  if (optimizer !== null) model.compile({ optimizer, loss: 'categoricalCrossentropy' });
  return model;
}

async function saved(model: tf.LayersModel): Promise<CheckpointManager> {
  const manager = await openManager(freshDirectory());
  if (model.optimizer) await train(tf, model, 0, 3);
  await saveModel(manager, model, { step: 3, epoch: 1, metrics: { loss: 1 }, state: { a: 1 }, config: 'c' });
  return manager;
}

function of(weights: Record<string, string>, layer: string): string[] {
  return Object.entries(weights)
    .filter(([name]) => name.startsWith(`${layer}/`))
    .map(([, value]) => value);
}

/** How many slots an optimizer has. */
function slotCount(optimizer: tf.Optimizer | undefined): number {
  return Object.values(optimizer ?? {}).reduce((sum, field) => sum + (Array.isArray(field) ? field.length : 0), 0);
}

/** A weak restore that must not change how many tensors there are, but for slots that the optimizer did not have. */
async function restoreWeakly(manager: CheckpointManager, model: tf.LayersModel, options: RestoreModelOptions = {}) {
  const optimizer = options.optimizer ?? model.optimizer;
  const [before, slots] = [alive(tf), slotCount(optimizer)];
  const restored = await restoreModel(manager, model, 'latest', { ...WEAK, ...options });
  const more = slotCount(optimizer) - slots;
  expect(alive(tf)).toEqual({ numTensors: before.numTensors + more, numDataBuffers: before.numDataBuffers + more });
  if (restored === null) expect.fail('there is no checkpoint');
  return restored;
}

describe('a model with a new head', () => {
  test.each<[string, Parts]>([
    ['of another name', { head: 'other' }],
    ['of another name and shape', { head: 'other', classes: 4 }],
  ])('%s gets the rest, keeps its head, and its optimizer is fresh', async (_, parts) => {
    const model = classifier();
    const manager = await saved(model);
    const target = classifier({ ...parts, optimizer: tf.train.adam(0.5) });
    const before = stateOf(target);
    const restored = await restoreWeakly(manager, target);
    expect(restored).toMatchObject({ step: 3, epoch: 1, initialEpoch: 1, metrics: { loss: 1 }, state: { a: 1 }, config: 'c' });
    expect(restored.optimizerRestored).toBe(false);
    const sameShape = parts.classes === undefined;
    expect(restored.match).toEqual({
      matched: ['body/kernel', 'body/bias'],
      renamed: [],
      missing: ['other/kernel', 'other/bias'],
      extra: ['head/bias', 'head/kernel'].sort(),
      wrong: [],
      perhaps: sameShape ? ['kernel', 'bias'].map((end) => ({ name: `other/${end}`, from: `head/${end}` })) : [],
    });
    const after = stateOf(target);
    expect(of(after.weights, 'body')).toEqual(of(weightsOf(model), 'body'));
    expect(of(after.weights, 'other')).toEqual(of(before.weights, 'other'));
    expect(after.optimizer).toEqual(before.optimizer);
    if (sameShape) await train(tf, target, 0, 2);
  });

  test('of another shape: that is said, and strict refuses it with the whole list', async () => {
    const manager = await saved(classifier());
    const target = classifier({ classes: 4 });
    const before = stateOf(target);
    const { match, optimizerRestored } = await restoreWeakly(manager, target);
    expect([match.matched, optimizerRestored]).toEqual([['body/kernel', 'body/bias'], false]);
    expect(match.wrong).toEqual([
      { name: 'head/kernel', expected: { dtype: 'F32', shape: [5, 4] }, actual: { dtype: 'F32', shape: [5, 3] } },
      { name: 'head/bias', expected: { dtype: 'F32', shape: [4] }, actual: { dtype: 'F32', shape: [3] } },
    ]);
    expect(of(weightsOf(target), 'head')).toEqual(of(before.weights, 'head'));
    const error = await rejection(restoreModel(manager, classifier({ head: 'other' })), 'ERR_MODEL_MISMATCH');
    expect(error.message).toContain('missing from the checkpoint: weight "other/bias", perhaps renamed from "head/bias"');
    expect(error.message).toContain('By position all shapes fit');
    const other = await rejection(restoreModel(manager, target), 'ERR_MODEL_MISMATCH');
    expect(other.tensors).toEqual(expect.arrayContaining(['head/kernel', 'head/bias', 'head/kernel/m', 'head/kernel/v']));
    expect(other.message).toContain('mode: "weak"');
  });

  test('by position, where names say nothing', async () => {
    const model = classifier();
    const manager = await saved(model);
    const target = classifier({ body: 'b', head: 'h', classes: 4 });
    const { match, optimizerRestored } = await restoreWeakly(manager, target, { match: 'position' });
    expect(match).toMatchObject({
      matched: [],
      renamed: ['kernel', 'bias'].map((end) => ({ name: `b/${end}`, from: `body/${end}` })),
      missing: [],
      extra: [],
      wrong: [{ name: 'h/kernel' }, { name: 'h/bias' }],
    });
    expect(optimizerRestored).toBe(false);
    expect(of(weightsOf(target), 'b')).toEqual(of(weightsOf(model), 'body'));
  });

  test('by position, a model with a layer more: what is beyond the end of the checkpoint is missing, whatever its name', async () => {
    const model = classifier();
    const manager = await saved(model);
    const target = tf.sequential({
      layers: [
        tf.layers.dense({ name: 'first', inputShape: [INPUTS], units: 5 }),
        tf.layers.dense({ name: 'second', units: OUTPUTS }),
        tf.layers.dense({ name: 'body', units: 5 }),
      ],
    });
    const before = weightsOf(target);
    const { match } = await restoreWeakly(manager, target, { match: 'position' });
    expect([match.renamed.length, match.missing, match.extra, match.wrong]).toEqual([4, ['body/kernel', 'body/bias'], [], []]);
    expect(of(weightsOf(target), 'body')).toEqual(of(before, 'body'));
    expect(of(weightsOf(target), 'second')).toEqual(of(weightsOf(model), 'head'));
  });
});

describe('a renamed layer', () => {
  const BY_RECORD = { 'trunk/kernel': 'body/kernel', 'trunk/bias': 'body/bias' };
  const BY_FUNCTION = (name: string) => name.replace(/^trunk/, 'body');

  test.each([
    ['strict', BY_RECORD],
    ['strict', BY_FUNCTION],
    ['weak', BY_RECORD],
    ['weak', BY_FUNCTION],
  ] as const)('%s: with rename training goes on exactly, as if it had its old name', async (mode, rename) => {
    const model = classifier();
    const manager = await saved(model);
    const target = classifier({ body: 'trunk', optimizer: tf.train.adam(0.5) });
    const restored = await restoreWeakly(manager, target, { mode, rename });
    expect(restored.optimizerRestored).toBe(true);
    expect(restored.match).toEqual({
      matched: ['head/kernel', 'head/bias'],
      renamed: ['kernel', 'bias'].map((end) => ({ name: `trunk/${end}`, from: `body/${end}` })),
      ...{ missing: [], extra: [], wrong: [], perhaps: [] },
    });
    for (const each of [model, target]) await train(tf, each, 3, 6);
    expect(Object.values(weightsOf(target))).toEqual(Object.values(weightsOf(model)));
    expect(stateOf(target).optimizer).toEqual(stateOf(model).optimizer);
  });

  test('layers that have swapped their names get their own weights and optimizer slots back', async () => {
    const twins = (first: string, second: string) => {
      const model = tf.sequential({
        layers: [
          tf.layers.dense({ name: first, inputShape: [INPUTS], units: INPUTS, activation: 'tanh' }),
          tf.layers.dense({ name: second, units: INPUTS, activation: 'tanh' }),
          tf.layers.dense({ name: 'head', units: OUTPUTS, activation: 'softmax' }),
        ],
      });
      model.compile({ optimizer: tf.train.adam(0.01), loss: 'categoricalCrossentropy' });
      return model;
    };
    const model = twins('a', 'b');
    const manager = await saved(model);
    const target = twins('b', 'a');
    const swap = (name: string) => name.replace(/^[ab]/, (letter) => (letter === 'a' ? 'b' : 'a'));
    expect((await restoreWeakly(manager, target, { rename: swap })).optimizerRestored).toBe(true);
    for (const each of [model, target]) await train(tf, each, 3, 6);
    expect(Object.values(weightsOf(target))).toEqual(Object.values(weightsOf(model)));
  });

  test('the optimizer state of a weight that another one has taken the name of is nobody’s', async () => {
    const model = classifier({ body: 'x', head: 'y', classes: OUTPUTS });
    const manager = await openManager(freshDirectory());
    await train(tf, model, 0, 3);
    await saveModel(manager, model, { step: 3 });
    // "y" of this model takes what was "x"; what was "y" is left over.
    const build = () => {
      const made = tf.sequential({ layers: [tf.layers.dense({ name: 'y', inputShape: [INPUTS], units: 5 })] });
      made.compile({ optimizer: tf.train.adam(0.5), loss: 'meanSquaredError' });
      return made;
    };
    const rename = (name: string) => name.replace(/^y/, 'x');
    const target = build();
    const before = stateOf(target).optimizer;
    const restored = await restoreWeakly(manager, target, { rename });
    expect(restored).toMatchObject({ optimizerRestored: false, match: { extra: ['y/bias', 'y/kernel'] } });
    expect(of(weightsOf(target), 'y')).toEqual(of(weightsOf(model), 'x'));
    expect(stateOf(target).optimizer).toEqual(before);
    const error = await rejection(restoreModel(manager, build(), 'latest', { rename }), 'ERR_MODEL_MISMATCH');
    expect(error.message).toContain('which the model does not train');
  });

  test('one tensor may be for several weights; the optimizer then has no state for all of them', async () => {
    const model = classifier();
    const manager = await saved(model);
    const target = tf.sequential({
      layers: [
        tf.layers.dense({ name: 'one', inputShape: [INPUTS], units: 5 }),
        tf.layers.dense({ name: 'two', units: INPUTS }),
        tf.layers.dense({ name: 'three', units: 5 }),
      ],
    });
    target.compile({ optimizer: tf.train.adam(0.01), loss: 'meanSquaredError' });
    const { optimizerRestored, match } = await restoreWeakly(manager, target, { rename: (name) => name.replace(/^(one|three)/, 'body') });
    expect([optimizerRestored, match.renamed.length, match.missing]).toEqual([false, 4, ['two/kernel', 'two/bias']]);
    for (const layer of ['one', 'three']) expect(of(weightsOf(target), layer)).toEqual(of(weightsOf(model), 'body'));
  });

  test('a name that the checkpoint does not have is missing, and strict says what was looked for', async () => {
    const manager = await saved(classifier());
    const rename = { 'head/bias': 'heed/bias' };
    expect((await restoreWeakly(manager, classifier(), { rename })).match.missing).toEqual(['head/bias']);
    const error = await rejection(restoreModel(manager, classifier(), 'latest', { rename }), 'ERR_MODEL_MISMATCH');
    expect(error.message).toContain('weight "head/bias", looked for as "heed/bias"');
  });
});

describe('the optimizer', () => {
  test.each(Object.entries(OPTIMIZERS))('%s is restored where all of it fits, and training goes on exactly', async (_, make) => {
    const model = sequentialModel(tf, make(tf));
    const manager = await saved(model);
    const target = sequentialModel(tf, make(tf));
    const { optimizerRestored, match } = await restoreWeakly(manager, target);
    expect([optimizerRestored, match.matched.length]).toEqual([true, model.weights.length]);
    for (const each of [model, target]) await train(tf, each, 3, 6);
    expect(stateOf(target)).toEqual(stateOf(model));
  });

  test.each(Object.entries(OPTIMIZERS))('%s is left as it is, settings and all, where a trained weight is new', async (_, make) => {
    const manager = await saved(classifier({ optimizer: make(tf) }));
    const optimizer = make(tf);
    (optimizer as unknown as { learningRate: number }).learningRate = 0.123;
    const target = classifier({ head: 'other', optimizer });
    await train(tf, target, 0, 1);
    const before = fieldsOf(optimizer);
    expect((await restoreWeakly(manager, target)).optimizerRestored).toBe(false);
    expect(fieldsOf(optimizer)).toEqual(before);
    await train(tf, target, 1, 2);
  });

  test('of another class, or one that is not known, is left as it is; the weights are restored', async () => {
    class Own extends tf.AdamOptimizer {
      static override get className() {
        return 'Own';
      }
    }
    const model = classifier();
    const manager = await saved(model);
    for (const optimizer of [tf.train.momentum(0.1, 0.9), new Own(0.1, 0.9, 0.99)]) {
      const target = classifier({ optimizer });
      const before = stateOf(target).optimizer;
      expect(await restoreWeakly(manager, target)).toMatchObject({ optimizerRestored: false, match: { missing: [], wrong: [] } });
      expect(stateOf(target)).toEqual({ weights: weightsOf(model), optimizer: before });
    }
  });

  test('is restored where what is new is not trained', async () => {
    const model = classifier();
    const manager = await saved(model);
    const target = classifier({ frozen: true, optimizer: tf.train.adam(0.5) });
    const { optimizerRestored, match } = await restoreWeakly(manager, target);
    expect([optimizerRestored, match.missing]).toEqual([true, ['frozen/kernel', 'frozen/bias']]);
    expect(stateOf(target).optimizer).toEqual(stateOf(model).optimizer);
    await train(tf, target, 3, 5);
  });

  test('is left as it is where a weight of the same name has another shape of state', async () => {
    const model = classifier({ classes: 4, optimizer: null });
    model.compile({ optimizer: tf.train.adam(0.01), loss: 'meanSquaredError' });
    const manager = await openManager(freshDirectory());
    await model.trainOnBatch(tf.ones([2, INPUTS]), tf.ones([2, 4]));
    await saveModel(manager, model, { step: 1 });
    const target = classifier();
    const before = stateOf(target).optimizer;
    expect((await restoreWeakly(manager, target)).optimizerRestored).toBe(false);
    expect(stateOf(target).optimizer).toEqual(before);
  });

  test('a model that is not compiled, a checkpoint without an optimizer, includeOptimizer: false', async () => {
    const model = classifier();
    const manager = await saved(model);
    const bare = classifier({ optimizer: null });
    expect((await restoreWeakly(manager, bare)).optimizerRestored).toBe(false);
    expect(weightsOf(bare)).toEqual(weightsOf(model));
    const target = classifier();
    const fresh = stateOf(target).optimizer;
    expect((await restoreWeakly(manager, target, { includeOptimizer: false })).optimizerRestored).toBe(false);
    expect(stateOf(target)).toEqual({ weights: weightsOf(model), optimizer: fresh });
    const weightsOnly = await saved(bare);
    expect((await restoreWeakly(weightsOnly, classifier())).optimizerRestored).toBe(false);
  });

  test('of a loop of one’s own', async () => {
    const manager = await openManager(freshDirectory());
    const model = classifier({ optimizer: null });
    const optimizer = tf.train.adam(0.01);
    const step = (of: tf.LayersModel, by: tf.Optimizer) => {
      const loss = () => (of.apply(tf.ones([2, INPUTS]), { training: true }) as tf.Tensor).square().mean().asScalar();
      by.minimize(
        loss,
        false,
        of.trainableWeights.map((weight) => weight.read() as tf.Variable),
      );
    };
    for (let i = 0; i < 3; i++) step(model, optimizer);
    await saveModel(manager, model, { step: 3, optimizer });
    const [target, other] = [classifier({ optimizer: null }), classifier({ optimizer: null, head: 'other' })];
    const [fresh, otherFresh] = [tf.train.adam(0.5), tf.train.adam(0.5)];
    expect((await restoreWeakly(manager, target, { optimizer: fresh })).optimizerRestored).toBe(true);
    expect((await restoreWeakly(manager, other, { optimizer: otherFresh })).optimizerRestored).toBe(false);
    step(model, optimizer);
    step(target, fresh);
    expect(weightsOf(target)).toEqual(weightsOf(model));
    expect((otherFresh as unknown as { learningRate: number }).learningRate).toBe(0.5);
  });
});
