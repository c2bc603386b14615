/** What a save hands on: the model's own memory where it cannot change, and a word where stock tfjs cannot follow. */
import * as tf from '@tensorflow/tfjs';
import { beforeAll, expect, test } from 'vitest';
import type { CheckpointManager } from '../../src/manager/manager.js';
import type { SaveRequest } from '../../src/manager/save-request.js';
import type { TensorInput } from '../../src/snapshot/source.js';
import { saveModel, saveModelAsync } from '../../src/tfjs/index.js';
import { stockWarnings } from '../../src/tfjs-record/weights-manifest.js';
import { freshDirectory } from '../helpers/directory.js';
import { openManager } from '../helpers/manager.js';
import { functionalModel, train } from '../helpers/tfjs.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

/** The request with which saveModel would call the manager, caught in the same tick. */
function requestOf(model: tf.LayersModel, options: Partial<Parameters<typeof saveModel>[2]> = {}): SaveRequest {
  let caught: SaveRequest | undefined;
  const save = (request: SaveRequest) => {
    caught = request;
  };
  const manager = { save } as unknown as CheckpointManager;
  saveModel(manager, model, { step: 1, ...options }).catch(() => {});
  if (caught === undefined) expect.fail('saveModel did not call save in the same tick');
  return caught;
}

test('on the cpu backend weights and slots are written from where they are, without a copy', async () => {
  const model = functionalModel(tf, 'adam');
  await train(tf, model, 0, 2);
  const { tensors, optimizer } = requestOf(model);
  const live = new Set<unknown>(model.weights.map((weight) => weight.read().dataSync()));
  for (const slots of [...Object.values(model.optimizer)].filter(Array.isArray)) {
    for (const { variable } of slots as { variable: tf.Variable }[]) live.add(variable.dataSync());
  }
  const given = [...(tensors as TensorInput[]), ...(optimizer as TensorInput[])].filter(({ shape }) => shape.length > 0);
  expect(given.length).toBe(live.size);
  for (const { data, stable } of given) {
    expect(live.has(data)).toBe(true);
    expect(stable).toBe(true);
  }
});

test('with stable: false nothing is promised', async () => {
  const model = functionalModel(tf, 'adam');
  const { tensors, optimizer } = requestOf(model, { stable: false });
  for (const { stable } of [...(tensors as TensorInput[]), ...(optimizer as TensorInput[])]) expect(stable).toBe(false);
});

test('what stock tfjs cannot read is said', () => {
  const file = (name: string, bytes: number, role = 'model') => ({ name, bytes, role });
  expect(stockWarnings([file('a', 2 ** 31 - 1), file('b', 2 ** 31 - 1), file('c', 2 ** 40, 'optimizer')])).toEqual([]);
  expect(stockWarnings([file('a', 2 ** 31)])).toEqual([expect.stringContaining('larger than 2 GiB')]);
  expect(stockWarnings([file('a', 2 ** 31 - 1), file('b', 2 ** 31 - 1), file('c', 3)])).toEqual([expect.stringContaining('4 GiB in all')]);
});

test('the result says how long training stood still, capturing the model included', async () => {
  const manager = await openManager(freshDirectory());
  const model = functionalModel(tf, 'adam');
  const toJSON = model.toJSON.bind(model);
  model.toJSON = ((...args: Parameters<typeof toJSON>) => {
    const until = performance.now() + 30;
    while (performance.now() < until);
    return toJSON(...args);
  }) as typeof model.toJSON;
  const { seconds } = await saveModel(manager, model, { step: 1 });
  expect(seconds.snapshot).toBeGreaterThan(0.03);
  expect(seconds.total).toBeGreaterThan(seconds.snapshot);
  const { stallMs } = await saveModelAsync(manager, model, { step: 2 });
  expect(stallMs).toBeGreaterThan(30);
});

test('committed is left to the caller: reading it would count as listening', async () => {
  const pending = {
    status: 'accepted',
    get committed(): never {
      return expect.fail('committed was read');
    },
  };
  const manager = { saveAsync: async () => pending } as unknown as CheckpointManager;
  expect(await saveModelAsync(manager, functionalModel(tf), { step: 1 })).toBe(pending);
});
