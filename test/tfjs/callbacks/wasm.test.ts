/** On a backend whose weights are not in arrays of JavaScript memory: a save that is refused holds none of them. */
import { expect, test } from 'vitest';
import { ModelCheckpoint, PeriodicCheckpoint } from '../../../src/tfjs/index.js';
import { freshDirectory } from '../../helpers/directory.js';
import { rejection } from '../../helpers/errors.js';
import { alive, sequentialModel } from '../../helpers/tfjs.js';
import { loadBackend } from '../../helpers/tfjs-backends.js';
import { fitScript } from '../../helpers/tfjs-fit.js';

const { backend } = await loadBackend('wasm');
if (backend === undefined) throw new Error('The wasm backend does not load.');
const { tf } = backend;

test('no tensor is left of saves, nor of one that is refused', async () => {
  const directory = freshDirectory();
  const model = sequentialModel(tf, 'adam');
  await fitScript(tf, model, { val_loss: [1] }, []);
  const left = async (run: () => Promise<unknown>) => {
    const before = alive(tf).numTensors;
    await run();
    return alive(tf).numTensors - before;
  };
  const both = [new ModelCheckpoint({ directory }), new PeriodicCheckpoint({ directory, everySteps: 2 })];
  expect(await left(() => fitScript(tf, model, { val_loss: [2, 1] }, both))).toBe(0);
  const failing = { onEpochEnd: () => Promise.reject(new Error('no')) };
  // A fit that fails leaves some of tfjs' own.
  const ofTfjs = await left(() => expect(fitScript(tf, model, { val_loss: [2, 1] }, failing)).rejects.toThrow('no'));
  const refused = new ModelCheckpoint({ directory, rng: () => Number.NaN });
  expect(await left(() => rejection(fitScript(tf, model, { val_loss: [2, 1] }, refused), 'ERR_INVALID_STATE'))).toBe(ofTfjs);
});
