/** What preflight says of a model, and that loading or saving then does go wrong just so; and that it leaves no trace. */
import { readdirSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, test } from 'vitest';
import { loadModel, type PreflightOptions, preflight, restoreModel, saveModel, saveModelAsync } from '../../src/tfjs/index.js';
import { freshDirectory } from '../helpers/directory.js';
import { rejection, thrown } from '../helpers/errors.js';
import { collectWarnings } from '../helpers/experiment.js';
import { openManager } from '../helpers/manager.js';
import { alive, functionalModel, OPTIMIZERS, sequentialModel, train, weightsOf } from '../helpers/tfjs.js';
import { builtInModels } from '../helpers/tfjs-layers.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const problems = (list: readonly { problem: string }[]) => list.map(({ problem }) => problem);
const mse = (truth: tf.Tensor, guess: tf.Tensor) => tf.losses.meanSquaredError(truth, guess) as tf.Tensor;

/** tfjs does not export the classes that initializers and constraints must be of. */
function parentOf(object: object): new () => object {
  return Object.getPrototypeOf(object.constructor);
}

interface ScaleArgs {
  name?: string;
  factor?: number;
}

/** A custom layer that multiplies by a number of its own, with a weight of its own. */
function scaleClass(className: string | undefined, getConfig?: (layer: { factor: unknown }) => object) {
  class Scale extends tf.layers.Layer {
    readonly factor: unknown;
    constructor(args: ScaleArgs & { inputShape?: number[] } = {}) {
      super(args as never);
      this.factor = args.factor;
    }
    override build(shape: tf.Shape) {
      this.addWeight('offset', [(shape as number[]).at(-1) as number], 'float32', tf.initializers.zeros());
      this.built = true;
    }
    override call(inputs: tf.Tensor | tf.Tensor[]) {
      const input = Array.isArray(inputs) ? (inputs[0] as tf.Tensor) : inputs;
      return input.mul(typeof this.factor === 'number' ? this.factor : 1).add((this.weights[0] as tf.LayerVariable).read());
    }
    override getConfig() {
      return { ...super.getConfig(), ...getConfig?.(this) } as never;
    }
  }
  if (className !== undefined) Object.defineProperty(Scale, 'className', { value: className });
  return Scale;
}

/** A compiled model with such a layer. */
function scaled(Scale: ReturnType<typeof scaleClass>, factor: unknown = 2) {
  const layer = new Scale({ name: 'scale', factor: factor as number, inputShape: [3] });
  const model = tf.sequential({ layers: [layer, tf.layers.dense({ name: 'head', units: 1 })] });
  model.compile({ optimizer: tf.train.adam(0.01), loss: 'meanSquaredError' });
  return model;
}

async function saved(model: tf.LayersModel, includeOptimizer?: boolean) {
  const directory = freshDirectory();
  const manager = await openManager(directory);
  const result = await saveModel(manager, model, { step: 0, includeOptimizer });
  return { directory, manager, result };
}

describe('says nothing', () => {
  test('of any layer of TensorFlow.js, and no tensor, no random number and no name is used up', () => {
    for (const model of builtInModels(tf)) {
      const before = alive(tf);
      const weights = weightsOf(model);
      const { random } = Math;
      let drawn = 0;
      Math.random = () => {
        drawn += 1;
        return random();
      };
      const report = preflight(model);
      Math.random = random;
      const { name } = model.layers.at(-1) as tf.layers.Layer;
      expect(report, name).toEqual({ errors: [], warnings: [], weightBytes: expect.any(Number), optimizerBytes: 0, stock: [] });
      expect([alive(tf), weightsOf(model), drawn]).toEqual([before, weights, 0]);
      model.dispose();
    }
  });

  test.each(Object.entries(OPTIMIZERS))('of %s, and tells its bytes before the first step as after it', async (_, makeOptimizer) => {
    const model = sequentialModel(tf, makeOptimizer(tf));
    const before = alive(tf);
    const report = preflight(model);
    expect(report).toMatchObject({ errors: [], warnings: [], stock: [] });
    expect(alive(tf)).toEqual(before);
    await train(tf, model, 0, 2);
    expect(preflight(model, { step: 2 })).toEqual(report);
    const manager = await openManager(freshDirectory());
    await saveModel(manager, model, { step: 2 });
    const { tensors, optimizer } = (await manager.restore())!;
    const bytes = (list: Iterable<{ byteLength: number }>) => [...list].reduce((sum, { byteLength }) => sum + byteLength, 0);
    expect([report.weightBytes, report.optimizerBytes]).toEqual([bytes(tensors.values()), bytes(optimizer.values())]);
  });

  test('of a built-in metric that is a function, of several outputs, and of models inside of models', () => {
    const input = tf.input({ shape: [6] });
    const inner = sequentialModel(tf);
    const outputs = ['a', 'b'].map((name) => tf.layers.dense({ name, units: 2 }).apply(inner.apply(input)) as tf.SymbolicTensor);
    const model = tf.model({ inputs: input, outputs });
    model.compile({
      optimizer: 'sgd',
      loss: { a: 'meanSquaredError', b: 'hinge' },
      metrics: { a: 'accuracy', b: tf.metrics.binaryAccuracy } as never,
    });
    const [before, { metricsNames }] = [model.optimizer, model];
    expect(preflight(model)).toMatchObject({ errors: [], warnings: [] });
    expect([model.optimizer, model.metricsNames]).toEqual([before, metricsNames]);
  });
});

test('what a constructor of a layer makes and draws leaves no trace', () => {
  class Wasteful extends scaleClass('Wasteful') {
    readonly noise = tf.scalar(Math.random());
    readonly own = tf.keep(tf.variable(tf.scalar(Math.random())));
  }
  tf.serialization.registerClass(Wasteful as never);
  const model = scaled(Wasteful as never, null);
  const [before, { random }] = [alive(tf), Math];
  Math.random = () => expect.fail('a random number was drawn');
  const report = preflight(model);
  Math.random = random;
  expect(report).toMatchObject({ errors: [], warnings: [] });
  expect(alive(tf)).toEqual(before);
});

describe('errors, which a save throws before anything is written:', () => {
  async function refused(subject: unknown, options: Omit<PreflightOptions, 'step'> = {}, save = true) {
    const report = preflight(subject as tf.LayersModel, options);
    if (save) {
      const directory = freshDirectory();
      const manager = await openManager(directory);
      const { message } = await rejection(saveModel(manager, subject as tf.LayersModel, { step: 0, ...options }), 'ERR_MODEL');
      if (!problems(report.errors).some((name) => name === 'disposed-optimizer' || name === 'no-optimizer'))
        expect(report.errors[0]?.message).toBe(message);
      expect(readdirSync(directory).filter((name) => name.startsWith('checkpoint'))).toEqual([]);
    }
    return report.errors;
  }

  test('no-layers, disposed-weight, duplicate-names', async () => {
    expect(problems(await refused(tf.sequential()))).toEqual(['no-layers']);
    const disposed = functionalModel(tf);
    disposed.dispose();
    expect(problems(await refused(disposed))).toContain('disposed-weight');
    const dense = () => tf.layers.dense({ name: 'same', units: 2, inputShape: [2] });
    const [found] = await refused(tf.sequential({ layers: [tf.sequential({ layers: [dense()] }), dense()] }));
    expect(found).toMatchObject({ problem: 'duplicate-names', names: ['same/kernel', 'same/bias'] });
  });

  test('unknown-optimizer, disposed-optimizer, foreign-optimizer, no-optimizer', async () => {
    class Mine extends tf.AdamOptimizer {
      static override get className() {
        return 'Mine';
      }
    }
    expect(problems(await refused(functionalModel(tf, new Mine(0.1, 0.9, 0.99))))).toEqual(['unknown-optimizer']);
    const model = functionalModel(tf, 'adam');
    await train(tf, model, 0, 1);
    const other = sequentialModel(tf, model.optimizer);
    expect(problems(await refused(other))).toEqual(['foreign-optimizer']);
    model.optimizer.dispose();
    expect(problems(await refused(model))).toEqual(['disposed-optimizer']);
    expect(problems(await refused(functionalModel(tf), { includeOptimizer: true }))).toEqual(['no-optimizer']);
    expect(preflight(model, { includeOptimizer: false }).errors).toEqual([]);
  });

  test('no-topology: a getConfig that throws', async () => {
    const model = scaled(
      scaleClass('ScaleThrowing', () => {
        throw new Error('not yet');
      }),
    );
    const [found] = await refused(model);
    expect(found).toMatchObject({ problem: 'no-topology', message: expect.stringContaining('not yet') });
  });

  test('of variables: twice, disposed, nameless, none', async () => {
    const variable = tf.variable(tf.scalar(1));
    const disposed = tf.variable(tf.scalar(1));
    disposed.dispose();
    const looked = async (subject: unknown) => (await refused(subject, {}, false)).map(({ problem, names }) => [problem, ...names]);
    expect(await looked({ a: variable, b: variable })).toEqual([['variables', 'a', 'b']]);
    expect(await looked({ a: disposed })).toEqual([['disposed-weight', 'a']]);
    expect(await looked([variable])).toEqual([['variables']]);
    expect(await looked({})).toEqual([['variables']]);
    for (const nothing of [null, undefined, 7, 'model', variable]) expect(await looked(nothing)).toEqual([['not-a-model']]);
    expect(preflight({ a: variable })).toMatchObject({ errors: [], warnings: [], weightBytes: 4, optimizerBytes: 0 });
    const [found] = preflight({ a: variable }, { optimizer: tf.train.adam(0.1), step: 3 }).warnings;
    expect(found?.problem).toBe('untrained-optimizer');
    variable.dispose();
  });

  test('misspelled options', () => {
    thrown(() => preflight(functionalModel(tf), { includeOptimiser: true } as never), 'ERR_UNKNOWN_OPTION');
  });
});

describe('warnings, which come true when the model is loaded:', () => {
  test('function-loss: it is not compiled, unless the function is given by its name', async () => {
    const model = functionalModel(tf);
    model.compile({ optimizer: tf.train.adam(0.01), loss: [mse] });
    await train(tf, model, 0, 3);
    const { manager, result } = await saved(model);
    const [found] = preflight(model).warnings;
    expect(found).toMatchObject({ problem: 'function-loss', names: ['mse'] });
    expect(result.warnings).toContain(found?.message);
    expect(await loadModel(manager)).toMatchObject({ compiled: false, optimizerRestored: false });
    const loaded = await loadModel(manager, 'latest', { customObjects: { mse } });
    expect(loaded).toMatchObject({ compiled: true, optimizerRestored: true });
    await train(tf, model, 3, 6);
    await train(tf, loaded!.model, 3, 6);
    expect(weightsOf(loaded!.model)).toEqual(weightsOf(model));
  });

  test('unknown-metric: functions, whose names tfjs alters', async () => {
    const worst_error = (truth: tf.Tensor, guess: tf.Tensor) => truth.sub(guess).abs().max();
    const L1 = (truth: tf.Tensor, guess: tf.Tensor) => truth.sub(guess).abs().sum();
    for (const metric of [worst_error, L1]) {
      const model = functionalModel(tf);
      model.compile({ optimizer: tf.train.adam(0.01), loss: 'meanSquaredError', metrics: ['accuracy', metric as never] });
      expect(problems(preflight(model).warnings)).toEqual(['unknown-metric']);
      const { manager, result } = await saved(model);
      expect(result.warnings).toHaveLength(1);
      await rejection(loadModel(manager), 'ERR_MODEL');
      const loaded = await loadModel(manager, 'latest', { customObjects: { worst_error, L1 } });
      expect(loaded).toMatchObject({ compiled: true, optimizerRestored: true });
      expect(loaded!.model.metricsNames).toHaveLength(3);
    }
  });

  test('not-compilable: a loss without a name, and an optimizer that is not registered', async () => {
    const nameless = functionalModel(tf);
    nameless.compile({ optimizer: 'sgd', loss: [(truth, guess) => mse(truth, guess)] });
    expect(problems(preflight(nameless).warnings)).toEqual(['function-loss']);
    expect(await loadModel((await saved(nameless)).manager)).toMatchObject({ compiled: false });
    class Unregistered extends tf.AdamOptimizer {
      static override get className() {
        return 'Unregistered';
      }
    }
    const model = functionalModel(tf, new Unregistered(0.1, 0.9, 0.99));
    const { warnings } = preflight(model, { includeOptimizer: false });
    expect(warnings).toMatchObject([{ problem: 'not-compilable', names: ['Unregistered'] }]);
    await rejection(loadModel((await saved(model, false)).manager), 'ERR_MODEL');
  });

  test('unregistered-class: a layer, an initializer, a constraint', async () => {
    class Sevens extends parentOf(tf.initializers.zeros()) {
      static className = 'Sevens';
      apply(shape: number[]) {
        return tf.fill(shape, 7);
      }
      getConfig() {
        return {};
      }
    }
    class Positive extends parentOf(tf.constraints.nonNeg()) {
      static className = 'Positive';
      apply(weight: tf.Tensor) {
        return tf.relu(weight);
      }
      getConfig() {
        return {};
      }
    }
    const Scale = scaleClass('ScaleUnregistered', ({ factor }) => ({ factor }));
    const dense = (options: object) => tf.sequential({ layers: [tf.layers.dense({ name: 'd', units: 2, inputShape: [3], ...options })] });
    const cases: [string, tf.LayersModel, object][] = [
      ['ScaleUnregistered', scaled(Scale), { ScaleUnregistered: Scale }],
      ['Sevens', dense({ kernelInitializer: new Sevens() }), { Sevens }],
      ['Positive', dense({ kernelConstraint: new Positive() }), { Positive }],
    ];
    for (const [name, model, customObjects] of cases) {
      const { warnings } = preflight(model);
      expect(warnings).toMatchObject([{ problem: 'unregistered-class', names: [expect.any(String), name] }]);
      const { manager, result } = await saved(model);
      expect(result.warnings).toEqual(warnings.map(({ message }) => message));
      await rejection(loadModel(manager), 'ERR_MODEL');
      const loaded = await loadModel(manager, 'latest', { customObjects: customObjects as never });
      expect(weightsOf(loaded!.model)).toEqual(weightsOf(model));
      expect(preflight(model).warnings).toEqual([]);
    }
  });

  test('a class without className, and one that has that of its parent', async () => {
    const nameless = scaled(scaleClass(undefined));
    expect(preflight(nameless).warnings).toMatchObject([
      { problem: 'unregistered-class', message: expect.stringContaining('static className') },
    ]);
    await rejection(loadModel((await saved(nameless)).manager), 'ERR_MODEL');
    const Parent = scaleClass('Parent');
    tf.serialization.registerClass(Parent as never);
    class Child extends Parent {}
    const model = scaled(Child as never, undefined);
    expect(preflight(model).warnings).toMatchObject([{ problem: 'other-class', names: ['scale'] }]);
    const loaded = await loadModel((await saved(model)).manager);
    expect(loaded!.model.getLayer('scale')).not.toBeInstanceOf(Child);
  });

  test('config-incomplete, of a layer of TensorFlow.js itself: its depthMultiplier is not in what it writes down', async () => {
    const layer = tf.layers.separableConv2d({ name: 'conv', filters: 2, kernelSize: 3, depthMultiplier: 2, inputShape: [8, 8, 2] });
    const model = tf.sequential({ layers: [layer] });
    const [found] = preflight(model).warnings;
    expect(found).toMatchObject({
      problem: 'config-incomplete',
      names: ['conv'],
      message: expect.stringContaining('depthMultiplier was 2 and is 1'),
    });
    await rejection(loadModel((await saved(model)).manager), 'ERR_MODEL_MISMATCH');
  });

  test('config-not-json, config-incomplete: another layer comes back', async () => {
    const double = (x: number) => 2 * x;
    const cases: [string, string, unknown, (layer: { factor: unknown }) => object][] = [
      ['config-not-json', 'ScaleByFunction', double, ({ factor }) => ({ factor })],
      ['config-not-json', 'ScaleByNaN', Number.NaN, ({ factor }) => ({ factor })],
      ['config-not-json', 'ScaleByArray', new Float32Array(2), ({ factor }) => ({ nested: [{ factor }] })],
      ['config-incomplete', 'ScaleForgotten', 2, () => ({})],
      ['config-incomplete', 'ScaleLambda', double, () => ({})],
      ['config-incomplete', 'ScaleAltered', 'by_two', ({ factor }) => ({ factor })],
    ];
    for (const [problem, className, factor, getConfig] of cases) {
      const Scale = scaleClass(className, getConfig);
      tf.serialization.registerClass(Scale as never);
      const model = scaled(Scale, factor);
      expect(preflight(model).warnings).toMatchObject([{ problem, names: ['scale'] }]);
      const loaded = await loadModel((await saved(model)).manager);
      expect((loaded!.model.getLayer('scale') as unknown as { factor: unknown }).factor).not.toEqual(factor);
    }
  });

  test('layer-not-loadable: a constructor that refuses what getConfig gives', async () => {
    class Demanding extends scaleClass('Demanding') {
      constructor(args: ScaleArgs & { inputShape?: number[] }) {
        super(args);
        if (args.factor === undefined) throw new Error('Demanding needs a factor');
      }
    }
    tf.serialization.registerClass(Demanding as never);
    const model = scaled(Demanding as never);
    const [found] = preflight(model).warnings;
    expect(found).toMatchObject({ problem: 'layer-not-loadable', message: expect.stringContaining('needs a factor') });
    await rejection(loadModel((await saved(model)).manager), 'ERR_MODEL');
  });

  test('untrained-optimizer: the state that is saved is not that of the training', async () => {
    const model = functionalModel(tf, 'adam');
    const other = tf.train.adam(0.1);
    const manager = await openManager(freshDirectory());
    expect((await saveModel(manager, model, { step: 0 })).warnings).toEqual([]);
    expect(problems(preflight(model, { step: 9 }).warnings)).toEqual(['untrained-optimizer']);
    const { warnings } = await saveModel(manager, model, { step: 9 });
    expect(warnings).toEqual([expect.stringContaining('has not taken a step')]);
    expect((await manager.restore({ step: 9 }))!.optimizer.size).toBe(2);
    other.dispose();
  });
});

test('a custom layer with a weight of its own goes on exactly, from its class in customObjects', async () => {
  const Scale = scaleClass('ScaleTrained', ({ factor }) => ({ factor }));
  const model = scaled(Scale);
  const step = async (each: tf.LayersModel) => {
    await each.trainOnBatch(tf.ones([4, 3]), tf.zeros([4, 1]));
  };
  await step(model);
  const { directory } = await saved(model);
  const loaded = await loadModel(directory, 'latest', { customObjects: { ScaleTrained: Scale as never } });
  expect(loaded).toMatchObject({ compiled: true, optimizerRestored: true });
  for (const each of [model, loaded!.model]) await step(each);
  expect(weightsOf(loaded!.model)).toEqual(weightsOf(model));
  expect(Object.keys(weightsOf(model))).toContain('scale/offset');
  for (const wrong of [{ Scale: 7 }, { Scale: null }, { Scale: scaleClass(undefined) }]) {
    await rejection(loadModel(directory, 'latest', { customObjects: wrong as never }), 'ERR_INVALID_ARGUMENT');
  }
});

test('a warning is said once for a model, is in every result, and is looked at anew when the model is compiled anew', async () => {
  const said = collectWarnings();
  const squares = (truth: tf.Tensor, guess: tf.Tensor) => truth.sub(guess).square().mean();
  const manager = await openManager(freshDirectory());
  const model = functionalModel(tf);
  model.compile({ optimizer: 'sgd', loss: [mse] });
  const results = [await saveModel(manager, model, { step: 0 }), await (await saveModelAsync(manager, model, { step: 0 })).committed];
  for (const result of results) expect(result?.warnings).toEqual([expect.stringContaining('function (mse)')]);
  model.compile({ optimizer: 'sgd', loss: [mse] });
  await saveModel(manager, model, { step: 0 });
  expect(said).toHaveLength(1);
  model.compile({ optimizer: 'sgd', loss: 'meanSquaredError' });
  expect((await saveModel(manager, model, { step: 0 })).warnings).toEqual([]);
  model.compile({ optimizer: 'sgd', loss: 'meanSquaredError', metrics: [squares as never] });
  expect((await saveModel(manager, model, { step: 0 })).warnings).toEqual([expect.stringContaining('metric "squares"')]);
  await new Promise(setImmediate);
  expect(said.map(({ message }) => message.slice(0, 20))).toEqual(['The loss is a functi', 'loadModel cannot fin']);
});

test('a model with warnings is restored whole into one that is built', async () => {
  const build = () => scaled(scaleClass('NeverRegistered'));
  const model = build();
  const { manager } = await saved(model);
  const fresh = build();
  await restoreModel(manager, fresh);
  expect(weightsOf(fresh)).toEqual(weightsOf(model));
});

test('changed-trainable: layers that were frozen after compile are still trained, and the optimizer of one that is loaded does not fit', async () => {
  const model = sequentialModel(tf, 'adam');
  await train(tf, model, 0, 2);
  expect(preflight(model).warnings).toEqual([]);
  (model.layers[0] as tf.layers.Layer).trainable = false;
  const [found] = preflight(model).warnings;
  const frozen = (model.layers[0] as tf.layers.Layer).weights.map(({ originalName }) => originalName);
  expect(found).toMatchObject({ problem: 'changed-trainable', names: frozen });
  const { manager, result } = await saved(model);
  expect(result.warnings).toContain(found?.message);
  await rejection(loadModel(manager), 'ERR_MODEL_MISMATCH');
  expect(await loadModel(manager, 'latest', { includeOptimizer: false })).toMatchObject({ optimizerRestored: false });
  model.compile({ optimizer: 'adam', loss: 'meanSquaredError' });
  expect(preflight(model).warnings).toEqual([]);
});
