/** Directories that stock tfjs saved are read by the handler, by holdfast:// and by loadModel; what is damaged is refused. */
import { appendFileSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, test } from 'vitest';
import { holdfastHandler, loadModel, registerHoldfast } from '../../src/tfjs/index.js';
import { freshDirectory } from '../helpers/directory.js';
import { rejection } from '../helpers/errors.js';
import { collectWarnings } from '../helpers/experiment.js';
import { graphArtifacts } from '../helpers/graph-model.js';
import { alive, OPTIMIZERS, optimizerOf, sequentialModel, train, weightsOf } from '../helpers/tfjs.js';
import { artifactsOf, writeStock } from '../helpers/tfjs-stock.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
  registerHoldfast(tf);
});

/** A trained model, saved as tfjs does, in files of `shardBytes`. */
async function saved(optimizer: string, shardBytes?: number) {
  const model = sequentialModel(tf, OPTIMIZERS[optimizer]!(tf));
  await train(tf, model, 0, 4);
  const directory = writeStock(path.join(freshDirectory(), 'stock'), await artifactsOf(model, { includeOptimizer: true }), shardBytes);
  return { model, directory };
}

test.each(['SGD', 'Momentum', 'RMSProp, centered', 'Adagrad', 'Adadelta'])(
  '%s: model and optimizer, by each of the ways',
  async (optimizer) => {
    const { model, directory } = await saved(optimizer, 100);
    const loaded = (await loadModel(path.join(directory, 'model.json')))!;
    expect(loaded).toMatchObject({ step: 4, compiled: true, optimizerRestored: true, info: { name: 'stock', status: 'good' } });
    const models = [
      loaded.model,
      await tf.loadLayersModel(`holdfast://${directory}`),
      await tf.loadLayersModel(holdfastHandler(directory)),
    ];
    for (const each of [model, ...models]) await train(tf, each, 4, 8);
    for (const each of models) {
      expect(weightsOf(each)).toEqual(weightsOf(model));
      expect(optimizerOf(each)).toEqual(optimizerOf(model));
    }
  },
);

test('Adam comes back as far as tfjs has it, and that is said', async () => {
  const { model, directory } = await saved('Adam');
  const warnings = collectWarnings();
  const loaded = (await loadModel(directory))!;
  await new Promise(setImmediate);
  expect(warnings.map(({ message }) => message)).toEqual([expect.stringContaining('Adam')]);
  expect(weightsOf(loaded.model)).toEqual(weightsOf(model));
  expect(loaded.step).toBe(4);
});

test('without the optimizer, or compiled anew', async () => {
  const { model, directory } = await saved('Momentum');
  const bare = (await loadModel(directory, 'latest', { includeOptimizer: false }))!;
  expect(bare).toMatchObject({ compiled: false, optimizerRestored: false, step: 0 });
  expect(weightsOf(bare.model)).toEqual(weightsOf(model));
  expect((await tf.loadLayersModel(`holdfast://${directory}?optimizer=false`)).optimizer).toBeUndefined();
  const warnings = collectWarnings();
  const anew = (await loadModel(directory, 'latest', { compile: { optimizer: 'sgd', loss: 'meanSquaredError' } }))!;
  expect(anew).toMatchObject({ compiled: true, optimizerRestored: false });
  expect(anew.model.optimizer.getClassName()).toBe('SGD');
  await new Promise(setImmediate);
  expect(warnings.map(({ message }) => message)).toEqual([expect.stringContaining('left out')]);
});

test('no tensor stays', async () => {
  const { directory } = await saved('Momentum');
  const before = alive(tf);
  const { model } = (await loadModel(directory, 'latest', { includeOptimizer: false }))!;
  model.dispose();
  expect(alive(tf)).toEqual(before);
});

test('weights in several groups, strings among them', async () => {
  const directory = freshDirectory();
  const strings = ['', 'ü', 'x'.repeat(70_000), '日本'];
  const encoded = Buffer.concat(
    strings.map((text) => {
      const length = Buffer.alloc(4);
      length.writeUInt32LE(Buffer.byteLength(text));
      return Buffer.concat([length, Buffer.from(text)]);
    }),
  );
  writeFileSync(path.join(directory, 'a.bin'), encoded.subarray(0, 3));
  writeFileSync(path.join(directory, 'b.bin'), Buffer.concat([encoded.subarray(3), Buffer.from([7])]));
  mkdirSync(path.join(directory, 'sub'));
  writeFileSync(path.join(directory, 'sub', 'c.bin'), Buffer.from(Int32Array.of(1, 2).buffer));
  const weightsManifest = [
    {
      paths: ['a.bin', 'b.bin'],
      weights: [
        { name: 's', dtype: 'string', shape: [2, 2] },
        { name: 'flag', dtype: 'bool', shape: [] },
      ],
    },
    { paths: ['sub/c.bin'], weights: [{ name: 'i', dtype: 'int32', shape: [2] }] },
  ];
  writeFileSync(
    path.join(directory, 'model.json'),
    JSON.stringify({ modelTopology: { node: [] }, format: 'graph-model', weightsManifest }),
  );
  const { weightData, weightSpecs } = await holdfastHandler(directory).load!();
  const decoded = tf.io.decodeWeights(weightData!, weightSpecs!);
  expect(decoded['s']!.dataSync()).toEqual(strings);
  expect([...decoded['flag']!.dataSync(), ...decoded['i']!.dataSync()]).toEqual([7, 1, 2]);
  tf.dispose(decoded);
});

describe('refused:', () => {
  function graphDirectory(): string {
    return writeStock(path.join(freshDirectory(), 'm'), graphArtifacts(), 20);
  }

  test.each<[string, (directory: string) => void, Parameters<typeof rejection>[1], string]>([
    ['a missing shard', (d) => rmSync(path.join(d, 'group1-shard2.bin')), 'ERR_MISSING_FILE', 'group1-shard2.bin'],
    ['a shard that was cut short', (d) => truncateSync(path.join(d, 'group1-shard2.bin'), 3), 'ERR_TRUNCATED', '"W"'],
    ['a shard that is too long', (d) => appendFileSync(path.join(d, 'group1-shard2.bin'), 'xx'), 'ERR_EXTENDED', '34 bytes'],
    ['no JSON', (d) => writeFileSync(path.join(d, 'model.json'), '{"modelTopology"'), 'ERR_MODEL', 'not JSON'],
    ['JSON of something else', (d) => writeFileSync(path.join(d, 'model.json'), '[]'), 'ERR_MODEL', 'not a model'],
    ['weights from elsewhere', (d) => rename(d, '../../etc/passwd'), 'ERR_MODEL', 'not beside it'],
    ['weights by URL', (d) => rename(d, 'https://example.org/w.bin'), 'ERR_MODEL', 'not beside it'],
  ])('%s', async (_, spoil, code, words) => {
    const directory = graphDirectory();
    spoil(directory);
    const error = await rejection(tf.loadGraphModel(holdfastHandler(directory)), code);
    expect(error.message).toContain(words);
    await rejection(tf.loadGraphModel(`holdfast://${directory}`), code);
  });

  function rename(directory: string, name: string): void {
    const file = path.join(directory, 'model.json');
    writeFileSync(file, readFileSync(file, 'utf8').replace('group1-shard1.bin', name));
  }

  test('another step of the only model, and a signal', async () => {
    const directory = graphDirectory();
    await rejection(tf.loadGraphModel(`holdfast://${directory}?step=3`), 'ERR_NOT_FOUND');
    await rejection(tf.loadGraphModel(`holdfast://${directory}#best`), 'ERR_NOT_FOUND');
    await rejection(tf.loadGraphModel(holdfastHandler(directory, { signal: AbortSignal.abort() })), 'ERR_ABORTED');
  });

  test('a checkpoint without its manifest is not taken for a stock model', async () => {
    const directory = freshDirectory();
    const { path: checkpoint } = (await sequentialModel(tf).save(`holdfast://${directory}`)) as unknown as { path: string };
    rmSync(path.join(checkpoint, 'manifest.json'));
    for (const where of [checkpoint, path.join(checkpoint, 'model.json')]) {
      await rejection(tf.loadLayersModel(`holdfast://${where}`), 'ERR_MISSING_MANIFEST');
      await rejection(loadModel(where), 'ERR_MISSING_MANIFEST');
    }
  });
});

test('checkpoints beside a stock model come first', async () => {
  const { directory } = await saved('SGD');
  const model = sequentialModel(tf);
  await model.save(`holdfast://${directory}`);
  expect(weightsOf(await tf.loadLayersModel(`holdfast://${directory}`))).toEqual(weightsOf(model));
});
