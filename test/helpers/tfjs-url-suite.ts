/** What holdfast:// must do on every backend. */
import { writeFileSync } from 'node:fs';
import type { Tensor } from '@tensorflow/tfjs';
import { describe, expect, test } from 'vitest';
import { holdfastHandler, registerHoldfast } from '../../src/tfjs/index.js';
import { freshDirectory } from './directory.js';
import { rejection } from './errors.js';
import { graphArtifacts } from './graph-model.js';
import { alive, functionalModel, optimizerOf, sequentialModel, train, weightsOf } from './tfjs.js';
import type { LoadedBackend } from './tfjs-backends.js';

export function testUrls({ tf, name }: LoadedBackend): void {
  describe(`holdfast:// on ${name}`, () => {
    test('what is saved is the model at the call; a loaded one goes on bit by bit, and no tensor stays', async () => {
      registerHoldfast(tf);
      const url = `holdfast://${freshDirectory()}`;
      const model = sequentialModel(tf, tf.train.adam(0.01, 0.85, 0.99));
      await train(tf, model, 0, 3);
      const then = { weights: weightsOf(model), optimizer: optimizerOf(model) };
      const before = alive(tf);
      const saving = model.save(url);
      await train(tf, model, 3, 6);
      await saving;
      expect(alive(tf)).toEqual(before);
      const loaded = await tf.loadLayersModel(url);
      expect({ weights: weightsOf(loaded), optimizer: optimizerOf(loaded) }).toEqual(then);
      await train(tf, loaded, 3, 6);
      expect(weightsOf(loaded)).toEqual(weightsOf(model));
      expect(optimizerOf(loaded)).toEqual(optimizerOf(model));
      loaded.dispose();
      expect(alive(tf)).toEqual(before);
    });

    test('a save that is refused leaves no tensor', async () => {
      registerHoldfast(tf);
      const directory = freshDirectory();
      const model = sequentialModel(tf, tf.train.adam(0.01));
      await train(tf, model, 0, 1);
      const before = alive(tf);
      for (const [options, code] of [
        [{ tags: ['a/b'] }, 'ERR_INVALID_NAME'],
        [{ signal: AbortSignal.abort() }, 'ERR_ABORTED'],
      ] as const) {
        await rejection(model.save(holdfastHandler(directory, options)), code);
        expect(alive(tf)).toEqual(before);
      }
      writeFileSync(`${directory}/file`, '');
      await rejection(model.save(`holdfast://${directory}/file`), 'ERR_NOT_A_DIRECTORY');
      expect(alive(tf)).toEqual(before);
    });

    test('a plain handler and a graph model', async () => {
      const directory = freshDirectory();
      const model = functionalModel(tf);
      await model.save({ save: (artifacts) => holdfastHandler(directory).save!(artifacts) });
      const loaded = await tf.loadLayersModel({ load: async () => ({ ...(await holdfastHandler(directory).load!()) }) });
      expect(weightsOf(loaded)).toEqual(weightsOf(model));
      const graph = await tf.loadGraphModel(tf.io.fromMemory(graphArtifacts()));
      await graph.save(`holdfast://${directory}`);
      const again = await tf.loadGraphModel(`holdfast://${directory}`);
      const outputs = [graph, again].map((each) => tf.tidy(() => [...(each.predict(tf.tensor2d([[1, 2, 3]])) as Tensor).dataSync()]));
      expect(outputs[0]).toEqual([21, 34]);
      expect(outputs[1]).toEqual(outputs[0]);
    });
  });
}
