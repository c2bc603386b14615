/** What a run goes on from beside its tensors. */

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { freshDirectory } from '../helpers/directory.js';
import { rejection } from '../helpers/errors.js';
import { openManager, smallRequest } from '../helpers/manager.js';

interface MyState {
  readonly notes: string[];
}

const RUN = {
  scheduler: { name: 'step', lr: 0.00025, gamma: 0.5, last_epoch: 7 },
  rng: { alea: [0.1, 0.2, 0.3, 1], dropout: 'abc' },
  dataPosition: { epoch: 3, batch: 117, order: [3, 1, 2] },
  config: { batchSize: 32, layers: [128, 10], name: 'ü' },
};

test('everything comes back, with where to go on', async () => {
  const manager = await openManager(freshDirectory());
  const metrics = { loss: 0.5, val_loss: 0.6, acc: Number.NaN };
  const before = Date.now();
  await manager.save({ ...smallRequest(700), epoch: 7, metrics, ...RUN, state: { notes: ['a'] } });
  const restored = await manager.restore<MyState>();
  expect(restored).toMatchObject({ step: 700, epoch: 7, initialEpoch: 7, metrics, ...RUN });
  expect(restored?.state?.notes).toEqual(['a']);
  expect(restored!.createdAt.getTime()).toBeGreaterThanOrEqual(before);
  expect(restored?.software).toMatchObject({ holdfast: expect.any(String), node: process.version });
});

test('what was not given is undefined, and initialEpoch 0', async () => {
  const manager = await openManager(freshDirectory());
  const { step, tensors } = smallRequest(1);
  const { path: saved } = await manager.save({ step, tensors, scheduler: null });
  const restored = await manager.restore();
  expect(restored).toMatchObject({ epoch: undefined, initialEpoch: 0, scheduler: null, rng: undefined, state: undefined });
  expect(JSON.parse(readFileSync(path.join(saved, 'state.json'), 'utf8')).run).toEqual({ scheduler: null });
});

test.each(Object.keys(RUN))('%s is refused where JSON would alter it, with its path', async (key) => {
  const manager = await openManager(freshDirectory());
  const error = await rejection(manager.save({ ...smallRequest(1), [key]: { a: [1, -0] } }), 'ERR_INVALID_STATE');
  expect(error.path).toBe(`${key}.a[1]`);
});

test('a state document whose run is no object is damaged', async () => {
  const { decodeState } = await import('../../src/format/state.js');
  for (const run of [null, 3, []]) {
    const bytes = Buffer.from(JSON.stringify({ format: 'holdfast-state', version: 1, run, extensions: {} }));
    expect(() => decodeState(bytes, 'c')).toThrow(/run/);
  }
});
