/** model.save and tf.loadLayersModel by holdfast:// after registerHoldfast: durable, without a stall, exact. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, test } from 'vitest';
import { keep } from '../../src/index.js';
import { type HandlerSaveResult, holdfastHandler, loadModel, registerHoldfast } from '../../src/tfjs/index.js';
import { freshDirectory } from '../helpers/directory.js';
import { rejection, thrown } from '../helpers/errors.js';
import { collectWarnings } from '../helpers/experiment.js';
import { openManager } from '../helpers/manager.js';
import { alive, functionalModel, OPTIMIZERS, optimizerOf, predictions, sequentialModel, train, weightsOf } from '../helpers/tfjs.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
  registerHoldfast(tf);
});

/** A relative path, as users write them, that goes away with the test. */
function relativeDirectory(): string {
  return path.relative(process.cwd(), freshDirectory());
}

function saveTo(model: tf.LayersModel, url: string, config?: object): Promise<HandlerSaveResult> {
  return model.save(url, config as tf.io.SaveConfig) as Promise<HandlerSaveResult>;
}

function flipLastByte(file: string): void {
  const bytes = readFileSync(file);
  bytes[bytes.length - 1]! ^= 1;
  writeFileSync(file, bytes);
}

describe.each([
  ['a Sequential', sequentialModel],
  ['a functional model', functionalModel],
])('%s', (_, build) => {
  test('goes to a relative directory and comes back, compiled, with its metadata', async () => {
    const directory = relativeDirectory();
    const model = build(tf, 'adam');
    model.setUserDefinedMetadata({ labels: ['a'] });
    await train(tf, model, 0, 3);
    const result = await saveTo(model, `holdfast://${directory}`);
    expect(result).toMatchObject({
      step: 3,
      name: expect.stringContaining('step00000003'),
      path: expect.stringContaining(directory.split('/').at(-1)!),
      modelArtifactsInfo: { modelTopologyType: 'JSON', dateSaved: expect.any(Date) },
    });
    const stock = tf.io.getModelArtifactsInfoForJSON({
      modelTopology: model.toJSON(null, false) as object,
      weightData: new ArrayBuffer(model.countParams() * 4 * 3 + 8),
    });
    expect(result.modelArtifactsInfo.modelTopologyBytes).toBe(stock.modelTopologyBytes);
    const loaded = await tf.loadLayersModel(`holdfast://${directory}`);
    expect(weightsOf(loaded)).toEqual(weightsOf(model));
    expect(optimizerOf(loaded)).toEqual(optimizerOf(model));
    expect(loaded.getUserDefinedMetadata()).toEqual({ labels: ['a'] });
    expect(predictions(tf, loaded)).toBe(predictions(tf, model));
    for (const each of [model, loaded]) await train(tf, each, 3, 6);
    expect(weightsOf(loaded)).toEqual(weightsOf(model));
  });
});

test.each(Object.entries(OPTIMIZERS))('%s: a model that is loaded by URL goes on bit by bit', async (_, makeOptimizer) => {
  const url = `holdfast://${freshDirectory()}`;
  const model = sequentialModel(tf, makeOptimizer(tf), 'unitNorm');
  await train(tf, model, 0, 4);
  await model.save(url);
  const warnings = collectWarnings();
  const loaded = await tf.loadLayersModel(url);
  expect(weightsOf(loaded)).toEqual(weightsOf(model));
  for (const each of [model, loaded]) await train(tf, each, 4, 8);
  expect(weightsOf(loaded)).toEqual(weightsOf(model));
  expect(optimizerOf(loaded)).toEqual(optimizerOf(model));
  await new Promise(setImmediate);
  expect(warnings).toEqual([]);
});

test('what is saved is the model at the call, though training goes on', async () => {
  const url = `holdfast://${freshDirectory()}`;
  const model = functionalModel(tf, 'adam');
  await train(tf, model, 0, 2);
  const before = weightsOf(model);
  const saving = model.save(url);
  await train(tf, model, 2, 6);
  await saving;
  expect(weightsOf(model)).not.toEqual(before);
  expect(weightsOf(await tf.loadLayersModel(url))).toEqual(before);
});

test('step, metrics, state and tags of a save; #best, ?step=, ?tag= and ?checkpoint= of a load', async () => {
  const directory = freshDirectory();
  const model = sequentialModel(tf);
  const seen: Record<string, string>[] = [];
  const names: string[] = [];
  for (const [step, loss] of [
    [10, 3],
    [20, 1],
    [30, 2],
  ] as const) {
    await train(tf, compiled(model), step, step + 1);
    seen.push(weightsOf(model));
    names.push((await saveTo(model, `holdfast://${directory}?tag=at-${step}`, { step, metrics: { loss }, state: { step } })).name);
  }
  const loaded = async (rest: string) => weightsOf(await tf.loadLayersModel(`holdfast://${directory}${rest}`));
  expect(await loaded('')).toEqual(seen[2]);
  expect(await loaded('#latest')).toEqual(seen[2]);
  expect(await loaded('#best')).toEqual(seen[1]);
  expect(await loaded('?step=10')).toEqual(seen[0]);
  expect(await loaded('?tag=at-20')).toEqual(seen[1]);
  expect(await loaded(`?checkpoint=${names[0]}`)).toEqual(seen[0]);
  expect(await loaded(`/${names[1]}`)).toEqual(seen[1]);
  expect((await loadModel(directory, { step: 20 }))?.state).toEqual({ step: 20 });
  await rejection(tf.loadLayersModel(`holdfast://${directory}?step=11`), 'ERR_NOT_FOUND');
  await rejection(tf.loadLayersModel(`holdfast://${directory}?tag=none`), 'ERR_NOT_FOUND');
});

function compiled(model: tf.Sequential): tf.Sequential {
  if ((model.optimizer as unknown) === undefined) model.compile({ optimizer: 'adam', loss: 'categoricalCrossentropy' });
  return model;
}

test('without a step, a model that is not compiled gets the one after the newest', async () => {
  const directory = freshDirectory();
  const model = sequentialModel(tf);
  const steps: number[] = [];
  for (const query of ['', '', '?step=7', '']) steps.push((await saveTo(model, `holdfast://${directory}${query}`)).step);
  expect(steps).toEqual([0, 1, 7, 8]);
  expect((await tf.loadLayersModel(`holdfast://${directory}`)).optimizer).toBeUndefined();
});

test.each(['{ includeOptimizer: false }', '?optimizer=false'])('%s leaves the optimizer out', async (how) => {
  const directory = freshDirectory();
  const model = sequentialModel(tf, 'adam');
  const [query, config] = how.startsWith('?') ? [how, {}] : ['', { includeOptimizer: false }];
  const { path: checkpoint } = await saveTo(model, `holdfast://${directory}${query}`, config);
  expect(readdirSync(checkpoint)).not.toContain('optimizer.safetensors');
});

test('a directory with spaces and signs, percent-encoded', async () => {
  const directory = path.join(freshDirectory(), 'a b?c#d%');
  const url = `holdfast://${directory.split('/').map(encodeURIComponent).join('/')}`;
  const model = sequentialModel(tf);
  await model.save(url);
  expect(readdirSync(directory)).toContain('latest');
  expect(weightsOf(await tf.loadLayersModel(url))).toEqual(weightsOf(model));
});

test('saves at the same time are committed in the order of the calls', async () => {
  const url = `holdfast://${freshDirectory()}`;
  const models = [0, 1, 2].map(() => functionalModel(tf));
  const results = await Promise.all(models.map((model, step) => saveTo(model, url, { step })));
  expect(new Set(results.map(({ name }) => name)).size).toBe(3);
  for (const [step, model] of models.entries()) {
    expect(weightsOf(await tf.loadLayersModel(`${url}?step=${step}`))).toEqual(weightsOf(model));
  }
  expect(results.map(({ sequence }) => sequence)).toEqual([1, 2, 3]);
  const unnumbered = await Promise.all(models.map((model) => saveTo(model, url)));
  expect(unnumbered.map(({ step }) => step)).toEqual([3, 4, 5]);
  // One that fails does not keep the next one from its turn.
  const failing = saveTo(functionalModel(tf), url, { tags: ['a/b'] });
  const next = saveTo(functionalModel(tf), url);
  await rejection(failing, 'ERR_INVALID_NAME');
  expect((await next).step).toBe(6);
});

test('a damaged checkpoint is passed over with a warning that says which and why; asked for, it is refused', async () => {
  const directory = freshDirectory();
  const model = sequentialModel(tf, 'adam');
  await saveTo(model, `holdfast://${directory}`, { step: 1 });
  const good = weightsOf(model);
  await train(tf, model, 0, 1);
  const { name, path: checkpoint } = await saveTo(model, `holdfast://${directory}`, { step: 2 });
  flipLastByte(path.join(checkpoint, 'model.safetensors'));
  const warnings = collectWarnings();
  expect(weightsOf(await tf.loadLayersModel(`holdfast://${directory}`))).toEqual(good);
  await new Promise(setImmediate);
  expect(warnings).toMatchObject([{ name: 'HoldfastWarning', code: 'ERR_CHECKSUM', message: expect.stringContaining(name) }]);
  await rejection(tf.loadLayersModel(`holdfast://${directory}?step=2`), 'ERR_NO_GOOD_CHECKPOINT');
  await rejection(tf.loadLayersModel(`holdfast://${checkpoint}`), 'ERR_CHECKSUM');
});

test('no tensor stays, of a save or of a load', async () => {
  const url = `holdfast://${freshDirectory()}`;
  const model = sequentialModel(tf, 'adam');
  await train(tf, model, 0, 2);
  const before = alive(tf);
  for (let i = 0; i < 3; i++) await model.save(url);
  expect(alive(tf)).toEqual(before);
  for (const query of ['', '?optimizer=false']) (await tf.loadLayersModel(`${url}${query}`)).dispose();
  expect(alive(tf)).toEqual(before);
});

test('weights of which the last is the longest, and of strings, come whole through a list of buffers', async () => {
  const directory = freshDirectory();
  const strings = ['a', 'ü'.repeat(20), 'c'];
  const encoded = Buffer.concat(
    strings.flatMap((text) => [Buffer.from(Uint32Array.of(Buffer.byteLength(text)).buffer), Buffer.from(text)]),
  );
  await holdfastHandler(directory).save!({
    modelTopology: sequentialModel(tf).toJSON(null, false) as object,
    format: 'layers-model',
    weightSpecs: [
      { name: 'a', dtype: 'float32', shape: [2] },
      { name: 'b', dtype: 'string', shape: [3] },
    ],
    weightData: new Uint8Array(Buffer.concat([Buffer.from(Float32Array.of(1, 2).buffer), encoded])).buffer,
  });
  const { weightData, weightSpecs } = await holdfastHandler(directory).load!();
  expect(weightSpecs!.map(({ name }) => name)).toEqual(['a', 'b']);
  expect(Array.isArray(weightData)).toBe(true);
  const decoded = tf.io.decodeWeights(weightData!, weightSpecs!);
  expect(decoded['b']!.dataSync()).toEqual(strings);
  expect([...decoded['a']!.dataSync()]).toEqual([1, 2]);
  tf.dispose(decoded);
});

test('a class of layers of your own works as in tfjs: once it is registered', async () => {
  class Thrice extends tf.layers.Layer {
    static get className() {
      return 'Thrice';
    }
    override call(inputs: tf.Tensor | tf.Tensor[]) {
      return (Array.isArray(inputs) ? inputs[0]! : inputs).mul(3);
    }
  }
  const url = `holdfast://${freshDirectory()}`;
  const model = tf.sequential({ layers: [tf.layers.dense({ name: 'd', units: 3, inputShape: [6] }), new Thrice({ name: 'thrice' })] });
  await model.save(url);
  await expect(tf.loadLayersModel(url)).rejects.toThrow('Thrice');
  tf.serialization.registerClass(Thrice as never);
  expect(predictions(tf, await tf.loadLayersModel(url))).toBe(predictions(tf, model));
});

test('a loss that is a function: the model comes uncompiled, and that is said', async () => {
  const url = `holdfast://${freshDirectory()}`;
  const model = sequentialModel(tf);
  model.compile({ optimizer: 'adam', loss: (truth, guess) => tf.losses.meanSquaredError(truth, guess) });
  expect((await saveTo(model, url)).warnings).toEqual([expect.stringContaining('The loss is a function')]);
  const warnings = collectWarnings();
  const loaded = await tf.loadLayersModel(url);
  await new Promise(setImmediate);
  expect(loaded.optimizer).toBeUndefined();
  expect(weightsOf(loaded)).toEqual(weightsOf(model));
  expect(warnings.map(({ message }) => message)).toEqual([expect.stringContaining('without its optimizer (Adam)')]);
});

test('what goes elsewhere is none of our business', async () => {
  const model = sequentialModel(tf, 'adam');
  let given: tf.io.ModelArtifacts | undefined;
  const result = { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' as const } };
  const handler = tf.io.withSaveHandler(async (artifacts) => {
    given = artifacts;
    return result;
  });
  expect(await model.save(handler)).toBe(result);
  expect(given).not.toHaveProperty('trainingConfig');
  const again = await tf.loadLayersModel(tf.io.fromMemory(given!));
  expect(weightsOf(again)).toEqual(weightsOf(model));
  await expect(model.save('nowhere://x')).rejects.toThrow('Cannot find any save handlers');
});

test('a handler: its options, those of a call over them, and a manager', async () => {
  const directory = freshDirectory();
  const model = functionalModel(tf, 'adam');
  const progress: number[] = [];
  const handler = holdfastHandler(directory, {
    step: 5,
    epoch: 1,
    metrics: { loss: 2 },
    keep: keep.all(),
    onProgress: ({ bytes }) => progress.push(bytes),
  });
  await model.save(handler);
  await model.save(handler, { step: 6 } as tf.io.SaveConfig);
  expect(progress.length).toBeGreaterThan(0);
  const manager = await openManager(directory);
  await model.save(holdfastHandler(manager, { step: 7, state: 'x' }));
  const infos: unknown[] = [];
  for await (const { step, epoch } of manager.list()) infos.push([step, epoch]);
  expect(infos).toEqual([
    [5, 1],
    [6, 1],
    [7, null],
  ]);
  expect((await manager.restore())?.state).toBe('x');
  const loaded = await tf.loadLayersModel(holdfastHandler(manager, { target: { step: 5 } }));
  expect(optimizerOf(loaded)).toEqual(optimizerOf(model));
  const aborted = AbortSignal.abort();
  await rejection(model.save(holdfastHandler(directory, { signal: aborted })), 'ERR_ABORTED');
  await rejection(tf.loadLayersModel(holdfastHandler(directory, { signal: aborted })), 'ERR_ABORTED');
  expect(await manager.restore('latest')).toMatchObject({ step: 7 });
});

test('registering again gives no second router, and changes the options', async () => {
  const directory = freshDirectory();
  registerHoldfast(tf, { keep: keep.last(1) });
  const model = sequentialModel(tf);
  for (const step of [1, 2, 3]) await saveTo(model, `holdfast://${directory}`, { step });
  registerHoldfast(tf);
  expect(readdirSync(directory).filter((name) => name.startsWith('checkpoint'))).toHaveLength(1);
  expect(tf.io.getLoadHandlers(`holdfast://${directory}`)).toHaveLength(1);
  expect(tf.io.getSaveHandlers(`holdfast://${directory}`)).toHaveLength(1);
});

describe('weak loading', () => {
  test('{ strict: false } takes what fits, as tfjs does', async () => {
    const url = `holdfast://${freshDirectory()}`;
    const model = functionalModel(tf);
    await model.save(url);
    const loaded = await tf.loadLayersModel(url, { strict: false });
    expect(weightsOf(loaded)).toEqual(weightsOf(model));
  });

  test('where the model has grown: strictly it is refused, else the new weights stay as they are made', async () => {
    let size = 0;
    class Growing extends tf.layers.Layer {
      static get className() {
        return 'Growing';
      }
      override build() {
        for (let i = 0; i < size; i++) this.addWeight(`w${i}`, [1], 'float32', tf.initializers.ones());
        this.built = true;
      }
      override call(inputs: tf.Tensor | tf.Tensor[]) {
        return Array.isArray(inputs) ? inputs[0]! : inputs;
      }
    }
    tf.serialization.registerClass(Growing as never);
    const url = `holdfast://${freshDirectory()}`;
    await tf.sequential({ layers: [new Growing({ name: 'g', inputShape: [2] }), tf.layers.dense({ name: 'd', units: 1 })] }).save(url);
    size = 1;
    expect((await rejection(tf.loadLayersModel(url), 'ERR_MODEL_MISMATCH')).tensors).toEqual(['g/w0']);
    const loaded = await tf.loadLayersModel(url, { strict: false });
    expect(loaded.weights.map(({ originalName }) => originalName)).toContain('g/w0');
  });

  test('onProgress of tfjs counts up to 1', async () => {
    const url = `holdfast://${freshDirectory()}`;
    await functionalModel(tf).save(url);
    const seen: number[] = [];
    await tf.loadLayersModel(url, { onProgress: (fraction) => seen.push(fraction) });
    expect(seen.at(-1)).toBe(1);
  });
});

describe('wrong', () => {
  test.each([
    ['holdfast://', 'ERR_INVALID_ARGUMENT', 'no directory'],
    ['holdfast://d?stp=1', 'ERR_UNKNOWN_OPTION', 'step, checkpoint, tag, optimizer'],
    ['holdfast://d?step=x', 'ERR_INVALID_ARGUMENT', 'whole number'],
    ['holdfast://d?step=1&step=2', 'ERR_INVALID_ARGUMENT', 'twice'],
    ['holdfast://d?step=1#best', 'ERR_INVALID_ARGUMENT', 'step and #best'],
    ['holdfast://d?checkpoint=../x', 'ERR_INVALID_ARGUMENT', 'name'],
    ['holdfast://d?optimizer=no', 'ERR_INVALID_ARGUMENT', 'true or false'],
    ['holdfast://d#newest', 'ERR_INVALID_ARGUMENT', '#best'],
    ['holdfast://d%', 'ERR_INVALID_ARGUMENT', '%25'],
  ] as const)('%s', async (url, code, words) => {
    expect((await rejection(tf.loadLayersModel(url), code)).message).toContain(words);
    await rejection(sequentialModel(tf).save(url), code);
  });

  test.each(['#best', '?checkpoint=x'])('a save to a checkpoint that is there: %s', async (rest) => {
    await rejection(sequentialModel(tf).save(`holdfast://d${rest}`), 'ERR_INVALID_ARGUMENT');
  });

  test('no checkpoint, no directory, no tfjs, misspelled and unsupported options', async () => {
    const directory = freshDirectory();
    await rejection(tf.loadLayersModel(`holdfast://${directory}`), 'ERR_NOT_FOUND');
    await rejection(tf.loadLayersModel(`holdfast://${directory}/none`), 'ERR_NOT_FOUND');
    const model = sequentialModel(tf, 'adam');
    await rejection(saveTo(model, `holdfast://${directory}`, { metric: {} }), 'ERR_UNKNOWN_OPTION');
    await rejection(saveTo(model, `holdfast://${directory}`, { trainableOnly: true }), 'ERR_UNSUPPORTED');
    thrown(() => registerHoldfast({} as never), 'ERR_INVALID_ARGUMENT');
    thrown(() => registerHoldfast(tf, { keeps: 1 } as never), 'ERR_UNKNOWN_OPTION');
    thrown(() => registerHoldfast(tf, { takeOverFiles: true }), 'ERR_UNSUPPORTED');
    thrown(() => holdfastHandler(directory, { stpe: 1 } as never), 'ERR_UNKNOWN_OPTION');
    thrown(() => holdfastHandler(7 as never), 'ERR_INVALID_ARGUMENT');
    const manager = await openManager(directory);
    thrown(() => holdfastHandler(manager, { keep: keep.all() }), 'ERR_UNKNOWN_OPTION');
    expect(readdirSync(directory).filter((name) => name.startsWith('checkpoint'))).toEqual([]);
  });
});
