/** Which checkpoint is restored, and what of it, when not everything is as it should be. */
import { readdirSync, truncateSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { keep } from '../../src/policy/keep.js';
import type { TensorInputs } from '../../src/snapshot/source.js';
import { freshDirectory } from '../helpers/directory.js';
import { rejection } from '../helpers/errors.js';
import { openManager, smallRequest } from '../helpers/manager.js';

describe('weights-only checkpoints', () => {
  test('latest passes over them unless asked', async () => {
    const manager = await openManager(freshDirectory(), { keep: keep.all() });
    await manager.save(smallRequest(1));
    await manager.save({ ...smallRequest(2), contents: 'weights' });
    expect((await manager.restore())?.step).toBe(1);
    expect((await manager.restore('latest', { contents: 'any' }))?.step).toBe(2);
    expect((await manager.restore('latest', { contents: 'weights' }))?.step).toBe(2);
    expect((await manager.restore('best'))?.step).toBe(2);
    expect((await manager.restore('best', { contents: 'full' }))?.step).toBe(1);
    expect((await manager.restore({ step: 2 }))?.step).toBe(2);
    expect((await manager.openCheckpoint())?.info.step).toBe(1);
  });

  test('where there are only such, it is not a first run', async () => {
    const manager = await openManager(freshDirectory());
    await manager.save({ ...smallRequest(2), contents: 'weights' });
    const error = await rejection(manager.restore(), 'ERR_WEIGHTS_ONLY');
    expect(error.message).toContain('contents: "any"');
    expect((await manager.restore('latest', { contents: 'any' }))?.step).toBe(2);
    const other = await openManager(freshDirectory());
    await other.save(smallRequest(1));
    await rejection(other.restore('latest', { contents: 'weights' }), 'ERR_NOT_FOUND');
  });

  test('a damaged full one is passed over, and said, before an older full one is taken', async () => {
    const manager = await openManager(freshDirectory(), { keep: keep.all() });
    await manager.save(smallRequest(1));
    const second = await manager.save(smallRequest(2));
    await manager.save({ ...smallRequest(3), contents: 'weights' });
    truncateSync(path.join(second.path, 'model.safetensors'), 10);
    const restored = await manager.restore();
    expect([restored?.step, restored?.skipped.map(({ name, code }) => [name, code])]).toEqual([1, [[second.name, 'ERR_TRUNCATED']]]);
  });
});

const F32 = (...shape: number[]) => ({ dtype: 'F32' as const, shape });

async function saveModel(): Promise<Awaited<ReturnType<typeof openManager>>> {
  const manager = await openManager(freshDirectory());
  const tensors: TensorInputs = {
    'dense/kernel': { ...F32(2, 3), data: new Float32Array(6).fill(1) },
    'dense/bias': { ...F32(3), data: new Float32Array(3).fill(2) },
    'old_head/kernel': { ...F32(3, 10), data: new Float32Array(30).fill(3) },
  };
  await manager.save({ step: 1, tensors, optimizer: { m: { ...F32(1), data: new Float32Array(1) } } });
  return manager;
}

describe('what a program expects', () => {
  const EXPECTED = { 'dense/kernel': F32(2, 3), 'dense/bias': F32(4), 'head/kernel': F32(3, 10), 'extra/gamma': F32(3) };

  test('strict refuses with the whole list, and restores nothing', async () => {
    const manager = await saveModel();
    const error = await rejection(manager.restore('latest', { expect: EXPECTED }), 'ERR_MODEL_MISMATCH');
    for (const line of [
      'missing: "head/kernel", perhaps renamed from "old_head/kernel"',
      'missing: "extra/gamma"',
      'wrong: "dense/bias" is F32 [3], and F32 [4] is expected',
      'extra: "old_head/kernel"',
    ]) {
      expect(error.message).toContain(line);
    }
    expect(error.tensors).toEqual(['head/kernel', 'extra/gamma', 'dense/bias', 'old_head/kernel']);
  });

  test('weak takes what fits, and reports the rest', async () => {
    const manager = await saveModel();
    const restored = await manager.restore('latest', { expect: EXPECTED, mode: 'weak' });
    expect([...restored!.tensors.keys()]).toEqual(['dense/kernel']);
    expect([...restored!.optimizer.keys()]).toEqual(['m']);
    expect(restored?.match).toEqual({
      matched: ['dense/kernel'],
      renamed: [],
      missing: ['head/kernel', 'extra/gamma'],
      extra: ['old_head/kernel'],
      wrong: [{ name: 'dense/bias', expected: F32(4), actual: F32(3) }],
      perhaps: [{ name: 'head/kernel', from: 'old_head/kernel' }],
    });
  });

  test.each([
    ['a record', { 'head/kernel': 'old_head/kernel' }],
    ['a function', (name: string) => name.replace(/^head/, 'old_head')],
  ])('names are mapped by %s', async (_, rename) => {
    const manager = await saveModel();
    const expect_ = [
      { name: 'dense/kernel', ...F32(2, 3) },
      { name: 'dense/bias', ...F32(3) },
      { name: 'head/kernel', ...F32(3, 10) },
    ];
    const restored = await manager.restore('latest', { expect: expect_, rename });
    expect([...restored!.tensors.keys()].sort()).toEqual(['dense/bias', 'dense/kernel', 'head/kernel']);
    expect([...restored!.tensors.get('head/kernel')!.data].every((value) => value === 3)).toBe(true);
    expect(restored?.match?.renamed).toEqual([{ name: 'head/kernel', from: 'old_head/kernel' }]);
  });

  test('two names of one tensor share it, as tied weights do', async () => {
    const manager = await saveModel();
    const expected = { a: F32(2, 3), b: F32(2, 3) };
    const restored = await manager.restore('latest', { expect: expected, mode: 'weak', rename: { a: 'dense/kernel', b: 'dense/kernel' } });
    expect(restored?.tensors.get('a')).toBe(restored?.tensors.get('b'));
    expect([...restored!.tensors.get('a')!.data]).toEqual([1, 1, 1, 1, 1, 1]);
  });

  test('damage is found as ever, and what does not fit is no reason to take an older one', async () => {
    const manager = await saveModel();
    const [name = ''] = readdirSync(manager.directory).filter((each) => each.startsWith('checkpoint_'));
    await manager.save(smallRequest(2));
    await rejection(manager.restore('latest', { expect: EXPECTED, mode: 'strict' }), 'ERR_MODEL_MISMATCH');
    truncateSync(path.join(manager.directory, name, 'optimizer.safetensors'), 10);
    await rejection(manager.restore(name, { expect: EXPECTED, mode: 'weak' }), 'ERR_TRUNCATED');
  });

  test('options that make no sense', async () => {
    const manager = await saveModel();
    await rejection(manager.restore('latest', { mode: 'weak' }), 'ERR_INVALID_ARGUMENT');
    await rejection(manager.restore('latest', { expect: EXPECTED, tensors: ['x'] }), 'ERR_INVALID_ARGUMENT');
    await rejection(manager.restore('latest', { expect: { x: { dtype: 'float' as never, shape: [] } } }), 'ERR_INVALID_ARGUMENT');
    await rejection(manager.restore('latest', { expect: EXPECTED, mode: 'lax' as never }), 'ERR_INVALID_ARGUMENT');
    for (const rename of [null, 'x', () => undefined, { 'dense/bias': 1 }]) {
      await rejection(manager.restore('latest', { expect: EXPECTED, rename: rename as never }), 'ERR_INVALID_ARGUMENT');
    }
    await rejection(manager.restore('latest', { contents: 'some' as never }), 'ERR_INVALID_ARGUMENT');
  });
});
