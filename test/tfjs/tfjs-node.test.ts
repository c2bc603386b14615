/** On the real tfjs-node: exact continuation, and stock reading by file://. */
import { mkdirSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadModel, restoreModel, saveModel } from '../../src/tfjs/index.js';
import { freshDirectory } from '../helpers/directory.js';
import { openManager } from '../helpers/manager.js';
import {
  alive,
  functionalModel,
  OPTIMIZERS,
  optimizerOf,
  predictions,
  sequentialModel,
  type Tf,
  train,
  weightsOf,
} from '../helpers/tfjs.js';
import { loadTfjsNode } from '../helpers/tfjs-node.js';

const { tf: found, reason } = loadTfjsNode();
if (found === undefined) console.warn(`Tests on tfjs-node are left out: ${reason}.`);
const tf = found as Tf;

describe.runIf(found !== undefined)('on tfjs-node', () => {
  test('it is the real one', () => {
    expect(tf.getBackend()).toBe('tensorflow');
  });

  test.each(Object.entries(OPTIMIZERS))('%s continues exactly, and no tensor stays', async (_, makeOptimizer) => {
    const manager = await openManager(freshDirectory());
    const model = sequentialModel(tf, makeOptimizer(tf));
    await train(tf, model, 0, 5);
    const before = alive(tf);
    await saveModel(manager, model, { step: 5 });
    expect(alive(tf)).toEqual(before);
    await train(tf, model, 5, 12);
    const fresh = sequentialModel(tf, makeOptimizer(tf));
    await restoreModel(manager, fresh);
    const loaded = await loadModel(manager, 'latest', { tf });
    for (const other of [fresh, loaded!.model]) {
      await train(tf, other, 5, 12);
      expect(weightsOf(other)).toEqual(weightsOf(model));
      expect(optimizerOf(other)).toEqual(optimizerOf(model));
    }
  });

  test('training goes on while the save is under way', async () => {
    const manager = await openManager(freshDirectory());
    const model = functionalModel(tf, 'adam');
    await train(tf, model, 0, 5);
    const atSave = { weights: weightsOf(model), optimizer: optimizerOf(model) };
    const saving = saveModel(manager, model, { step: 5 });
    await train(tf, model, 5, 30);
    await saving;
    await restoreModel(manager, model);
    expect({ weights: weightsOf(model), optimizer: optimizerOf(model) }).toEqual(atSave);
  });

  test.each([undefined, 40, 150])('stock tf.loadLayersModel reads file://, also in shards (%s bytes)', async (maxShardBytes) => {
    const directory = path.join(freshDirectory(), 'with space');
    mkdirSync(directory);
    const manager = await openManager(directory, maxShardBytes === undefined ? {} : { maxShardBytes });
    const model = sequentialModel(tf, 'adam');
    await train(tf, model, 0, 5);
    const { path: checkpoint } = await saveModel(manager, model, { step: 5 });
    expect(readdirSync(checkpoint)).toContain('model.json');
    const stock = await tf.loadLayersModel(`file://${checkpoint}/model.json`);
    expect(weightsOf(stock)).toEqual(weightsOf(model));
    expect(predictions(tf, stock)).toBe(predictions(tf, model));
  });
});
