/** More than 4 GiB of weights on the real tfjs-node; with HOLDFAST_LARGE=1, since it takes 12 GiB of memory and 5 GiB of disk. */
import { crc32 } from 'node:zlib';
import type * as tensorflow from '@tensorflow/tfjs';
import { expect, test } from 'vitest';
import { registerHoldfast } from '../../src/tfjs/index.js';
import { freshDirectory } from '../helpers/directory.js';
import { alive } from '../helpers/tfjs.js';
import { loadTfjsNode } from '../helpers/tfjs-node.js';

const wanted = process.env['HOLDFAST_LARGE'] === '1';
const { tf: found, reason = 'set HOLDFAST_LARGE=1 to run it' } = wanted ? loadTfjsNode() : {};
if (found === undefined) console.warn(`The test of more than 4 GiB of weights on tfjs-node is left out: ${reason}.`);

const ROWS = 18_930;
const LAYERS = 3;

test.runIf(found !== undefined)('more than 4 GiB: saved and loaded by URL', { timeout: 300_000 }, async () => {
  const tf = found!;
  const before = alive(tf);
  const dense = (i: number) =>
    tf.layers.dense({ name: `d${i}`, units: ROWS, useBias: false, kernelInitializer: 'zeros', ...(i === 0 ? { inputShape: [ROWS] } : {}) });
  const model = tf.sequential({ layers: Array.from({ length: LAYERS }, (_, i) => dense(i)) });
  // Made by an operation, so that their memory is TensorFlow's; other bytes in each weight.
  model.weights.forEach((weight, i) => {
    tf.tidy(() => (weight.read() as tensorflow.Variable).assign(tf.randomUniform([ROWS, ROWS], -1, 1, 'float32', i + 1)));
  });
  const checksums = (of: tensorflow.LayersModel) =>
    of.weights.map((weight) => {
      const { buffer, byteOffset, byteLength } = weight.read().dataSync() as Float32Array;
      let sum = 0;
      for (let at = 0; at < byteLength; at += 2 ** 28)
        sum = crc32(new Uint8Array(buffer, byteOffset + at, Math.min(2 ** 28, byteLength - at)), sum);
      return sum;
    });
  const expected = checksums(model);
  expect(LAYERS * ROWS * ROWS * 4).toBeGreaterThan(2 ** 32);
  expect(new Set(expected).size).toBe(LAYERS);
  registerHoldfast(tf);
  const url = `holdfast://${freshDirectory()}`;
  await model.save(url);
  model.dispose();
  const loaded = await tf.loadLayersModel(url);
  expect(checksums(loaded)).toEqual(expected);
  loaded.dispose();
  expect(alive(tf)).toEqual(before);
});
