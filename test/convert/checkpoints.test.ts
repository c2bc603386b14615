/** Which checkpoint is converted, that every byte of it is checked, and what of a run goes with it. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { CheckpointManager, convert, type TensorInput } from '../../src/index.js';
import { freshDirectory } from '../helpers/directory.js';
import { rejection } from '../helpers/errors.js';
import { randomTensor, tensorsOf } from './fixtures.js';

/** Checkpoints of the steps 1, 2 and 3, of which the second is the best. */
async function three(): Promise<string> {
  const directory = freshDirectory();
  const manager = await CheckpointManager.open(directory, { name: 'step{step}' });
  for (const step of [1, 2, 3]) {
    const data = randomTensor('F32', [100], step).bytes;
    await manager.save({ step, metrics: { loss: step === 2 ? 0.1 : 1 }, tensors: [{ name: 'w', dtype: 'F32', shape: [100], data }] });
  }
  await manager.close();
  return directory;
}

function damage(checkpoint: string): void {
  const file = path.join(checkpoint, 'model.safetensors');
  const bytes = readFileSync(file);
  bytes[bytes.length - 1]! ^= 0x80;
  writeFileSync(file, bytes);
}

async function converted(source: string, options: Parameters<typeof convert>[2] = {}) {
  const target = path.join(freshDirectory(), 'x.safetensors');
  const report = await convert(source, target, options);
  const back = freshDirectory();
  await convert(target, back);
  const { bytes } = (await tensorsOf(back)).tensors['w']!;
  return { ...report, step: [1, 2, 3].find((step) => bytes.equals(randomTensor('F32', [100], step).bytes)) };
}

describe('of a directory', () => {
  test('the newest, the best, or that of a step; or one by its own path or a link', async () => {
    const directory = await three();
    expect(await converted(directory)).toMatchObject({ step: 3, source: path.join(directory, 'step3') });
    expect(await converted(directory, { checkpoint: 'best' })).toMatchObject({ step: 2 });
    expect(await converted(directory, { checkpoint: { step: 1 } })).toMatchObject({ step: 1 });
    expect(await converted(path.join(directory, 'step2'))).toMatchObject({ step: 2 });
    expect(await converted(path.join(directory, 'latest'))).toMatchObject({ step: 3, source: path.join(directory, 'step3') });
    const target = path.join(freshDirectory(), 'x.npz');
    await rejection(convert(directory, target, { checkpoint: { step: 9 } }), 'ERR_NOT_FOUND');
    await rejection(convert(path.join(directory, 'step2'), target, { checkpoint: 'best' }), 'ERR_INVALID_ARGUMENT');
  });

  test('damaged ones are passed over, and it is said; one that is named is not', async () => {
    const directory = await three();
    damage(path.join(directory, 'step3'));
    expect(await converted(directory)).toMatchObject({
      step: 2,
      warnings: [expect.stringMatching(/^step3 was passed over: ERR_CHECKSUM/)],
    });
    await rejection(converted(path.join(directory, 'step3')), 'ERR_CHECKSUM');
    await rejection(converted(path.join(directory, 'step3'), { only: 'w' }), 'ERR_CHECKSUM');
    damage(path.join(directory, 'step2'));
    damage(path.join(directory, 'step1'));
    await rejection(converted(directory), 'ERR_NO_GOOD_CHECKPOINT');
    rmSync(path.join(directory, 'step1', 'model.safetensors'));
    await rejection(converted(path.join(directory, 'step1')), 'ERR_MISSING_FILE');
  });
});

test('tensors of many chunks are checked chunk by chunk: a bit in any of them', async () => {
  const directory = freshDirectory();
  const manager = await CheckpointManager.open(directory, { chunkBytes: 2 ** 20 });
  const data = randomTensor('U8', [40 * 2 ** 20 + 123], 5).bytes;
  const saved = await manager.save({
    step: 1,
    tensors: [
      { name: 'w', dtype: 'U8', shape: [data.length], data },
      { name: 'a', dtype: 'F32', shape: [3], data: Float32Array.of(1, 2, 3) },
    ],
  });
  await manager.close();
  const target = path.join(freshDirectory(), 'x.safetensors');
  await convert(saved.path, target, { only: 'w' });
  expect(readFileSync(target).subarray(-data.length).equals(data)).toBe(true);
  const file = path.join(saved.path, 'model.safetensors');
  const bytes = readFileSync(file);
  for (const offset of [bytes.length - data.length, bytes.length - 20 * 2 ** 20, bytes.length - 1]) {
    bytes[offset]! ^= 4;
    writeFileSync(file, bytes);
    await rejection(convert(saved.path, path.join(freshDirectory(), 'x.safetensors')), 'ERR_CHECKSUM');
    bytes[offset]! ^= 4;
  }
});

test('into another checkpoint: all of the run goes along', async () => {
  const directory = freshDirectory();
  const manager = await CheckpointManager.open(directory);
  const w = { name: 'w', dtype: 'F64' as const, shape: [2], data: Float64Array.of(1, 2) };
  await manager.save({
    ...{ step: 12, epoch: 3, metrics: { loss: 0.5, acc: Number.NaN }, state: { a: [1] }, scheduler: { lr: 1 }, rng: { s: 2 } },
    ...{ dataPosition: 7, config: { c: true }, software: { torch: '2' }, extensions: { own: { x: 1 } } },
    attachments: [{ name: 'vocab.txt', data: 'a b' }],
    tensors: [w],
    optimizer: [{ ...w, name: 'w/m' }],
  });
  await manager.close();
  const target = path.join(freshDirectory(), 'other');
  const report = await convert(directory, target, { to: 'checkpoint', dtype: 'f32', map: { w: 'v' } });
  expect(report).toMatchObject({ tensors: 2, warnings: [] });
  const other = await CheckpointManager.open(target, { readOnly: true });
  const restored = await other.restore();
  expect(restored).toMatchObject({
    ...{ step: 12, epoch: 3, metrics: { loss: 0.5, acc: Number.NaN }, state: { a: [1] }, scheduler: { lr: 1 }, rng: { s: 2 } },
    ...{ dataPosition: 7, config: { c: true }, extensions: { own: { x: 1 } } },
  });
  expect(restored!.software).toMatchObject({ torch: '2' });
  expect(Buffer.from(restored!.attachments.get('vocab.txt')!).toString()).toBe('a b');
  expect(restored!.tensors.get('v')).toMatchObject({ dtype: 'F32' });
  // The optimizer's numbers stay what they are; its names follow.
  expect(restored!.optimizer.get('v/m')).toMatchObject({ dtype: 'F64' });
  await other.close();
});

test('with the optimizer in a plain file and back: training can go on from it', async () => {
  const directory = freshDirectory();
  const manager = await CheckpointManager.open(directory);
  const tensor = (name: string, seed: number): TensorInput => ({
    name,
    dtype: 'F32' as const,
    shape: [2],
    data: randomTensor('F32', [2], seed).bytes,
  });
  await manager.save({ step: 4, tensors: [tensor('w', 1)], optimizer: [tensor('w/m', 2), tensor('lr', 3)] });
  await manager.close();
  for (const name of ['x.safetensors', 'x.npz']) {
    const file: string = path.join(freshDirectory(), name);
    await convert(directory, file, { optimizer: true });
    const back = freshDirectory();
    await convert(file, back, { optimizer: true });
    expect(await tensorsOf(back)).toEqual(await tensorsOf(directory));
    const plain = freshDirectory();
    await convert(file, plain);
    expect(Object.keys((await tensorsOf(plain)).tensors).sort()).toEqual(['optimizer/lr', 'optimizer/w/m', 'w']);
  }
  const weights = path.join(freshDirectory(), 'w.npz');
  await convert(directory, weights);
  await rejection(convert(weights, freshDirectory(), { optimizer: true }), 'ERR_CONVERT');
});

describe('what is nothing', () => {
  test.each([
    ['nothing there', (): string => path.join(freshDirectory(), 'none'), 'ERR_NOT_FOUND'],
    ['an empty directory', (): string => freshDirectory(), 'ERR_INVALID_ARGUMENT'],
    ['a text', (): string => textFile('notes.txt', 'hello'), 'ERR_INVALID_ARGUMENT'],
    ['a device', (): string => '/dev/null', 'ERR_INVALID_ARGUMENT'],
    ['a text that is called .npz', (): string => textFile('x.npz', 'hello'), 'ERR_FORMAT'],
    ['a text that is called .safetensors', (): string => textFile('x.safetensors', 'hello'), 'ERR_TRUNCATED'],
    ['a text that is called model.json', (): string => textFile('model.json', 'hello'), 'ERR_FORMAT'],
    ['a topology without weights', () => textFile('model.json', '{"modelTopology": {}}'), 'ERR_FORMAT'],
  ] as const)('%s', async (_, make, code) => {
    await rejection(convert(make(), path.join(freshDirectory(), 'x.safetensors')), code);
  });

  test('a name that says nothing of what to make', async () => {
    const error = await rejection(convert(await three(), path.join(freshDirectory(), 'x')), 'ERR_INVALID_ARGUMENT');
    expect(error.message).toContain('--to');
  });

  test('files without their usual names are known by what is in them', async () => {
    const source = await three();
    const directory = freshDirectory();
    for (const name of ['a.npz', 'a.safetensors']) {
      await convert(source, path.join(directory, name));
      const blob = path.join(directory, `${name.length}`);
      writeFileSync(blob, readFileSync(path.join(directory, name)));
      expect(await convert(blob, `${blob}.npz`)).toMatchObject({ from: name.slice(2), tensors: 1 });
    }
  });
});

function textFile(name: string, text: string): string {
  const file = path.join(freshDirectory(), name);
  writeFileSync(file, text);
  return file;
}
