/** The directories are readable without holdfast: by stock TensorFlow.js over HTTP, and by Python's safetensors. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, test } from 'vitest';
import { loadModel, saveModel } from '../../src/tfjs/index.js';
import { freshDirectory } from '../helpers/directory.js';
import { openManager } from '../helpers/manager.js';
import { functionalModel, predictions, sequentialModel, train, weightsOf } from '../helpers/tfjs.js';
import { serveDirectory } from '../helpers/tfjs-server.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

async function saved(build: typeof functionalModel, maxShardBytes?: number) {
  const manager = await openManager(freshDirectory(), maxShardBytes === undefined ? {} : { maxShardBytes });
  const model = build(tf, 'adam');
  model.setUserDefinedMetadata({ labels: ['a', 'b', 'c'] });
  await train(tf, model, 0, 5);
  const { path: checkpoint, warnings } = await saveModel(manager, model, { step: 5 });
  expect(warnings).toEqual([]);
  return { model, checkpoint, document: JSON.parse(readFileSync(path.join(checkpoint, 'model.json'), 'utf8')) };
}

describe.each([
  ['a Sequential', sequentialModel],
  ['a functional model', functionalModel],
])('%s', (_, build) => {
  test('stock tf.loadLayersModel reads it over HTTP: equal weights, equal predictions', async () => {
    const { model, checkpoint } = await saved(build);
    const stock = await tf.loadLayersModel(`${await serveDirectory(checkpoint)}/model.json`);
    expect(weightsOf(stock)).toEqual(weightsOf(model));
    expect(predictions(tf, stock)).toBe(predictions(tf, model));
    expect(stock.getUserDefinedMetadata()).toEqual({ labels: ['a', 'b', 'c'] });
  });

  // tfjs takes files for equally long if all but the last are: a longer last one would read as zeros.
  test.each([40, 100, 128, 150, 170, 200])('stock reading of shards of %i bytes', async (maxShardBytes) => {
    const { model, checkpoint, document } = await saved(build, maxShardBytes);
    expect(document.weightsManifest.length).toBeGreaterThan(1);
    const stock = await tf.loadLayersModel(`${await serveDirectory(checkpoint)}/model.json`);
    expect(weightsOf(stock)).toEqual(weightsOf(model));
    const sizes = document.weightsManifest.map(({ paths }: { paths: string[] }) => readFileSync(path.join(checkpoint, paths[0]!)).length);
    expect(sizes).toEqual([...sizes].sort((a, b) => b - a));
  });

  test('model.json never carries a trainingConfig: stock tfjs would feed header bytes to the optimizer', async () => {
    const { checkpoint, document } = await saved(build);
    expect(document).not.toHaveProperty('trainingConfig');
    expect(Object.keys(document).sort()).toEqual([
      'convertedBy',
      'format',
      'generatedBy',
      'modelTopology',
      'userDefinedMetadata',
      'weightsManifest',
    ]);
    const state = JSON.parse(readFileSync(path.join(checkpoint, 'state.json'), 'utf8'));
    expect(state.extensions.tfjs.trainingConfig).toMatchObject({
      loss: 'categorical_crossentropy',
      optimizer_config: { class_name: 'Adam' },
    });
    const specs = document.weightsManifest.flatMap(({ weights }: { weights: unknown[] }) => weights);
    expect(specs[0]).toMatchObject({ dtype: 'bool', group: 'optimizer', shape: [4096] });
    expect(specs.filter((spec: { group?: string }) => spec.group === 'optimizer')).toHaveLength(1);
  });
});

test('a weight with a constraint: stock tfjs applies it once more when it loads, holdfast does not', async () => {
  const manager = await openManager(freshDirectory());
  const model = sequentialModel(tf, 'adam', 'unitNorm');
  await train(tf, model, 0, 5);
  const { path: checkpoint } = await saveModel(manager, model, { step: 5 });
  const stock = await tf.loadLayersModel(`${await serveDirectory(checkpoint)}/model.json`);
  expect(weightsOf(stock)).not.toEqual(weightsOf(model));
  expect(weightsOf((await loadModel(checkpoint))!.model)).toEqual(weightsOf(model));
});

const python = spawnSync('python3', ['-c', 'import numpy, safetensors'], { encoding: 'utf8' });
if (python.status !== 0)
  console.warn(`Reading with Python is left out: ${python.error?.message ?? python.stderr.trim().split('\n').at(-1)}`);

test.runIf(python.status === 0)("Python's safetensors reads equal values, weights and optimizer, in every shard", async () => {
  const { model, checkpoint } = await saved(sequentialModel, 150);
  const program = `
import sys, json
from safetensors.numpy import load_file
tensors = {}
for name in sys.argv[1:]:
    tensors.update({k: [str(v.dtype), list(v.shape), v.tobytes().hex()] for k, v in load_file(name).items()})
print(json.dumps(tensors))`;
  const files = readdirSync(checkpoint).filter((name) => name.endsWith('.safetensors'));
  expect(files.length).toBeGreaterThan(3);
  const { stdout, stderr, status } = spawnSync('python3', ['-c', program, ...files.map((name) => path.join(checkpoint, name))], {
    encoding: 'utf8',
  });
  expect(status, stderr).toBe(0);
  const tensors = JSON.parse(stdout) as Record<string, [string, number[], string]>;
  for (const [name, bytes] of Object.entries(weightsOf(model))) expect(tensors[name]?.[2], name).toBe(bytes);
  expect(tensors['first/kernel']?.slice(0, 2)).toEqual(['float32', [6, 7]]);
  expect(tensors['first/kernel/m']?.slice(0, 2)).toEqual(['float32', [6, 7]]);
  expect(tensors).toHaveProperty(['accBeta1']);
});
