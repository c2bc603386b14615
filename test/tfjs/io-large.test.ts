/** More than 4 GiB of weights through the drop-in; with HOLDFAST_LARGE=1, since it takes 12 GiB of memory and 5 GiB of disk. */
import { linkSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import * as tf from '@tensorflow/tfjs';
import { expect, test } from 'vitest';
import { registerHoldfast } from '../../src/tfjs/index.js';
import { freshDirectory } from '../helpers/directory.js';

const wanted = process.env['HOLDFAST_LARGE'] === '1';
if (!wanted) console.warn('The test of more than 4 GiB of weights is left out; set HOLDFAST_LARGE=1 to run it.');

const ROWS = 18_930;
const LAYERS = 3;
const PIECE = 2 ** 28;

function build(): tf.LayersModel {
  const dense = (i: number) =>
    tf.layers.dense({ name: `d${i}`, units: ROWS, useBias: false, kernelInitializer: 'zeros', ...(i === 0 ? { inputShape: [ROWS] } : {}) });
  return tf.sequential({ layers: Array.from({ length: LAYERS }, (_, i) => dense(i)) });
}

/** The array that the cpu backend itself keeps. */
function live(model: tf.LayersModel): Float32Array[] {
  return model.weights.map((weight) => weight.read().dataSync() as Float32Array);
}

/** Other bytes in each weight and at each of its ends. */
function fill(model: tf.LayersModel): void {
  for (const [i, values] of live(model).entries()) {
    const block = Float32Array.from({ length: 65_521 }, (_, at) => Math.fround((at + 1) * (i + 1) * 1e-3));
    for (let at = 0; at < values.length; at += block.length) values.set(block.subarray(0, values.length - at), at);
    values[values.length - 1] = -(i + 1);
  }
}

function checksums(model: tf.LayersModel): Record<string, number> {
  return Object.fromEntries(
    live(model).map((values, i) => {
      let sum = 0;
      for (let at = 0; at < values.byteLength; at += PIECE) {
        sum = crc32(new Uint8Array(values.buffer, values.byteOffset + at, Math.min(PIECE, values.byteLength - at)), sum);
      }
      return [model.weights[i]!.originalName, sum];
    }),
  );
}

test.runIf(wanted)('more than 4 GiB: saved and loaded by URL, and from one file of stock tfjs', { timeout: 300_000 }, async () => {
  await tf.setBackend('cpu');
  const base = freshDirectory();
  const model = build();
  fill(model);
  const expected = checksums(model);
  expect(LAYERS * ROWS * ROWS * 4).toBeGreaterThan(2 ** 32);
  expect(new Set(Object.values(expected)).size).toBe(LAYERS);
  registerHoldfast(tf, { maxShardBytes: 2 ** 34 });
  const url = `holdfast://${base}/ours`;
  const { path: checkpoint, modelArtifactsInfo } = (await model.save(url)) as unknown as { path: string } & tf.io.SaveResult;
  expect(modelArtifactsInfo.weightDataBytes).toBe(LAYERS * ROWS * ROWS * 4);
  model.dispose();

  const check = (loaded: tf.LayersModel) => {
    expect(checksums(loaded)).toEqual(expected);
    loaded.dispose();
  };
  check(await tf.loadLayersModel(url));
  // Not by a model of ours: the weights go through tfjs as a list of buffers.
  check(await tf.loadLayersModel(`holdfast://${asStock(checkpoint, `${base}/stock`)}`));
});

/** The same bytes under the names that stock tfjs gives its files. */
function asStock(checkpoint: string, directory: string): string {
  mkdirSync(directory);
  const [file, ...others] = readdirSync(checkpoint).filter((name) => name.endsWith('.safetensors'));
  expect(others).toEqual([]);
  linkSync(path.join(checkpoint, file!), path.join(directory, 'weights.bin'));
  writeFileSync(
    path.join(directory, 'model.json'),
    readFileSync(path.join(checkpoint, 'model.json'), 'utf8').replace(`"${file}"`, '"weights.bin"'),
  );
  return directory;
}
