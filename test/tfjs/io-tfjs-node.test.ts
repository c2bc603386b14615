/** On the real tfjs-node: holdfast://, stock directories of its own, and its file:// taken over. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import promises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { holdfastHandler, loadModel, registerHoldfast } from '../../src/tfjs/index.js';
import { ended, startNode } from '../helpers/child.js';
import { freshDirectory } from '../helpers/directory.js';
import { collectWarnings } from '../helpers/experiment.js';
import { graphArtifacts } from '../helpers/graph-model.js';
import { killAt } from '../helpers/kill-at.js';
import { functionalModel, optimizerOf, sequentialModel, type Tf, train, weightsOf } from '../helpers/tfjs.js';
import { loadBackend } from '../helpers/tfjs-backends.js';
import { testUrls } from '../helpers/tfjs-url-suite.js';

const { backend, reason } = await loadBackend('tensorflow');
if (backend === undefined) console.warn(`Tests of holdfast:// on tfjs-node are left out: ${reason}.`);
else testUrls(backend);
const tf = backend?.tf as Tf;

/** The newest checkpoint of a directory that file:// was taken over for. */
function checkpoints(directory: string): string[] {
  return readdirSync(directory).filter((name) => name.startsWith('checkpoint_'));
}

describe.runIf(backend !== undefined)('directories of stock tfjs-node', () => {
  test('its own save is read: model and optimizer', async () => {
    const directory = path.join(freshDirectory(), 'stock');
    const model = functionalModel(tf, tf.train.rmsprop(0.01, 0.9, 0.5, 1e-6, true));
    await train(tf, model, 0, 3);
    await model.save(`file://${directory}`, { includeOptimizer: true });
    expect(readdirSync(directory).sort()).toEqual(['model.json', 'weights.bin']);
    const models = [(await loadModel(directory, 'latest', { tf }))!.model, await tf.loadLayersModel(`holdfast://${directory}/model.json`)];
    for (const each of [model, ...models]) await train(tf, each, 3, 6);
    for (const each of models) {
      expect(weightsOf(each)).toEqual(weightsOf(model));
      expect(optimizerOf(each)).toEqual(optimizerOf(model));
    }
  });

  test('a graph model that came from a checkpoint is saved by stock tfjs-node, byte for byte', async () => {
    const base = freshDirectory();
    await holdfastHandler(`${base}/ours`).save!(graphArtifacts());
    const model = await tf.loadGraphModel(holdfastHandler(`${base}/ours`));
    await model.save(`file://${base}/stock`);
    expect(readFileSync(`${base}/stock/weights.bin`)).toEqual(Buffer.from(graphArtifacts().weightData as ArrayBuffer));
  });

  test('the lazy artifacts of a layers model, too, though they are a list of buffers', async () => {
    const base = freshDirectory();
    const model = sequentialModel(tf);
    await model.save(`holdfast://${base}/ours`);
    const { fileSystem } = tf.io as unknown as { fileSystem(path: string): { save(artifacts: object): Promise<void> } };
    await fileSystem(`${base}/stock`).save(await holdfastHandler(`${base}/ours`).load!());
    expect(weightsOf(await tf.loadLayersModel(`file://${base}/stock/model.json`))).toEqual(weightsOf(model));
  });
});

describe.runIf(backend !== undefined)('file://, taken over', () => {
  async function takenOver() {
    registerHoldfast(tf, { takeOverFiles: true });
    const directory = path.join(freshDirectory(), 'my model');
    const model = sequentialModel(tf, 'adam');
    await train(tf, model, 0, 3);
    await model.save(`file://${directory}`);
    return { model, directory };
  }

  test('becomes checkpoints, which file:// reads back exactly and compiled', async () => {
    const { model, directory } = await takenOver();
    expect(checkpoints(directory)).toEqual(['checkpoint_step00000003']);
    const loaded = await tf.loadLayersModel(`file://${directory}/model.json`);
    for (const each of [model, loaded]) await train(tf, each, 3, 6);
    expect(optimizerOf(loaded)).toEqual(optimizerOf(model));
    expect(weightsOf(loaded)).toEqual(weightsOf(model));
  });

  test('two checkpoints stay, and model.json always points at one that is there', async () => {
    const { model, directory } = await takenOver();
    for (let step = 3; step < 6; step++) {
      await train(tf, model, step, step + 1);
      await model.save((tf.io as unknown as { fileSystem(path: string): never }).fileSystem(directory));
      expect(checkpoints(directory)).toHaveLength(2);
      const { holdfastCheckpoint, weightsManifest } = JSON.parse(readFileSync(`${directory}/model.json`, 'utf8'));
      expect(holdfastCheckpoint).toBe(`checkpoint_step0000000${step + 1}`);
      expect(existsSync(path.join(directory, weightsManifest[0].paths[0]))).toBe(true);
    }
    expect((await loadModel(`${directory}/model.json`, 'latest', { tf }))?.step).toBe(6);
  });

  test('saves at the same time leave model.json at the newest', async () => {
    const { model, directory } = await takenOver();
    await Promise.all([7, 8, 9].map((step) => model.save(`file://${directory}`, { step } as never)));
    expect(JSON.parse(readFileSync(`${directory}/model.json`, 'utf8')).holdfastCheckpoint).toBe('checkpoint_step00000009');
    expect(checkpoints(directory)).toHaveLength(2);
  });

  test('model.json is durable before it takes its place, and then its place', async () => {
    const { model, directory } = await takenOver();
    const { open, rename } = promises;
    const calls: string[] = [];
    const nameOf = (file: unknown) => path.relative(directory, String(file));
    promises.open = async (file, ...rest) => {
      const handle = await open(file, ...rest);
      const { sync } = handle;
      handle.sync = async () => {
        calls.push(`fsync ${nameOf(file)}`);
        await sync.call(handle);
      };
      return handle;
    };
    promises.rename = async (from, to) => {
      calls.push(`rename ${nameOf(from)} ${nameOf(to)}`);
      await rename(from, to);
    };
    syncBuiltinESMExports();
    onTestFinished(() => {
      Object.assign(promises, { open, rename });
      syncBuiltinESMExports();
    });
    await model.save(`file://${directory}`);
    expect(calls).toEqual(['fsync .tmp-model.json', 'rename .tmp-model.json model.json', 'fsync ']);
  });

  test('a stock save that was there is replaced, and one that is damaged passed over', async () => {
    const { model, directory } = await takenOver();
    const weights = weightsOf(model);
    await train(tf, model, 3, 4);
    await model.save(`file://${directory}`);
    const file = path.join(directory, 'checkpoint_step00000004', 'model.safetensors');
    const bytes = readFileSync(file);
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(file, bytes);
    const warnings = collectWarnings();
    expect(weightsOf(await tf.loadLayersModel(`file://${directory}/model.json`))).toEqual(weights);
    await new Promise(setImmediate);
    expect(warnings.map(({ message }) => message)).toEqual([expect.stringContaining('was passed over')]);
  });

  test('a graph model, and a file of stock tfjs', async () => {
    const { directory } = await takenOver();
    const graph = await tf.loadGraphModel(tf.io.fromMemory(graphArtifacts()));
    await graph.save(`file://${directory}/graph`);
    expect(checkpoints(`${directory}/graph`)).toHaveLength(1);
    const again = await tf.loadGraphModel(`file://${directory}/graph/model.json`);
    expect(again.metadata).toEqual({ labels: ['a', 'b'] });
  });

  /** A process with stock tfjs-node that reads what a killed one has left. */
  const NODE = JSON.stringify(path.resolve('.cache/tfjs-node/node_modules/@tensorflow/tfjs-node/dist/index.js'));
  const HOLDFAST = JSON.stringify(new URL('../../dist/tfjs/index.js', import.meta.url).href);
  const SAVE_ON = `
    import { createRequire } from 'node:module';
    const tf = createRequire(import.meta.url)(${NODE});
    const { registerHoldfast } = await import(${HOLDFAST});
    registerHoldfast(tf, { takeOverFiles: true });
    const directory = process.argv[1];
    const model = await tf.loadLayersModel('file://' + directory + '/model.json');
    await model.save('file://' + directory, { step: 50 });`;
  const READ = `
    import { createRequire } from 'node:module';
    const tf = createRequire(import.meta.url)(${NODE});
    const model = await tf.loadLayersModel('file://' + process.argv[1] + '/model.json');
    console.log('read', model.getWeights().map((w) => Array.from(w.dataSync()).join()).join());`;

  /** The process kills itself before or after model.json is put in its place. */
  function killAtPointing(when: 'before' | 'after'): string {
    const script = `
      import promises from 'node:fs/promises';
      import { syncBuiltinESMExports } from 'node:module';
      const { rename } = promises;
      promises.rename = async (from, to) => {
        if (${when === 'after'}) await rename(from, to);
        process.kill(process.pid, 'SIGKILL');
      };
      syncBuiltinESMExports();`;
    return `--import=data:text/javascript,${encodeURIComponent(script)}`;
  }

  test.each([
    ['at its change 5 of the directory', (directory: string) => killAt(5, directory), undefined],
    ['before model.json is in its place', () => killAtPointing('before'), 'checkpoint_step00000003.r2'],
    ['when model.json is in its place', () => killAtPointing('after'), 'checkpoint_step00000050'],
  ])('stock tfjs-node reads what a save leaves that is killed %s', async (_, kill, pointsAt) => {
    const { model, directory } = await takenOver();
    await model.save(`file://${directory}`);
    const expected = model
      .getWeights()
      .map((weight) => [...weight.dataSync()].join())
      .join();
    const { signal, stderr: why } = await ended(
      startNode(SAVE_ON, [directory], { NODE_OPTIONS: kill(directory), TF_CPP_MIN_LOG_LEVEL: '2' }),
    );
    expect(signal, why).toBe('SIGKILL');
    const { holdfastCheckpoint } = JSON.parse(readFileSync(`${directory}/model.json`, 'utf8'));
    if (pointsAt !== undefined) expect(holdfastCheckpoint).toBe(pointsAt);
    const { stdout, stderr } = await ended(startNode(READ, [directory], { TF_CPP_MIN_LOG_LEVEL: '2' }));
    expect(stdout, stderr).toContain(`read ${expected}`);
  });
});
