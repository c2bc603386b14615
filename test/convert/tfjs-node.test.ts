/** What the real tfjs-node writes into files and reads from them. */
import path from 'node:path';
import { expect, test } from 'vitest';
import { convert } from '../../src/index.js';
import { freshDirectory } from '../helpers/directory.js';
import { optimizerOf, predictions, sequentialModel, train, weightsOf } from '../helpers/tfjs.js';
import { loadTfjsNode } from '../helpers/tfjs-node.js';
import { tensorsOf } from './fixtures.js';

const { tf: node, reason } = loadTfjsNode();
if (node === undefined) console.warn(`Sources of tfjs-node are left out: ${reason}`);

test.runIf(node !== undefined)('what the file handler of tfjs-node wrote, and what it reads', async () => {
  const real = node!;
  const model = sequentialModel(real, 'rmsprop');
  await train(real, model, 0, 3);
  const directory = path.join(freshDirectory(), 'model');
  await model.save(`file://${directory}`, { includeOptimizer: true });
  const target = freshDirectory();
  await convert(directory, target);
  const { tensors } = await tensorsOf(target);
  for (const [name, hex] of Object.entries(weightsOf(model))) expect(tensors[name]!.bytes.toString('hex'), name).toBe(hex);
  const web = path.join(freshDirectory(), 'web');
  await convert(target, web, { to: 'tfjs', shardBytes: 64 });
  const back = await real.loadLayersModel(`file://${web}/model.json`);
  expect(predictions(real, back)).toBe(predictions(real, model));
  expect(optimizerOf(back)).toEqual(optimizerOf(model));
});
