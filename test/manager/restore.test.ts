import {
  appendFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import type { ErrorCode } from '../../src/errors.js';
import { keep } from '../../src/policy/keep.js';
import { freshDirectory } from '../helpers/directory.js';
import { ENGINES } from '../helpers/engines.js';
import { rejection } from '../helpers/errors.js';
import { openManager, smallRequest } from '../helpers/manager.js';

/** Flips one bit of a file in place. */
function flip(file: string, at: number): void {
  const bytes = readFileSync(file);
  bytes[at] = (bytes[at] as number) ^ 1;
  writeFileSync(file, bytes);
}

/** Ways to damage a checkpoint, and the code under which each is found. */
const DAMAGE: [string, ErrorCode, (checkpoint: string) => void][] = [
  ['a flipped bit in a tensor', 'ERR_CHECKSUM', (dir) => flip(path.join(dir, 'model.safetensors'), 5000)],
  ['a flipped bit in a header', 'ERR_CHECKSUM', (dir) => flip(path.join(dir, 'model.safetensors'), 20)],
  ['a flipped bit in the state', 'ERR_CHECKSUM', (dir) => flip(path.join(dir, 'state.json'), 5)],
  ['a flipped bit in the manifest', 'ERR_MANIFEST', (dir) => flip(path.join(dir, 'manifest.json'), 5)],
  ['a missing manifest', 'ERR_MISSING_MANIFEST', (dir) => rmSync(path.join(dir, 'manifest.json'))],
  ['a missing file', 'ERR_MISSING_FILE', (dir) => rmSync(path.join(dir, 'state.json'))],
  ['a file cut short', 'ERR_TRUNCATED', (dir) => truncateSync(path.join(dir, 'model.safetensors'), 4100)],
  ['a file too long', 'ERR_EXTENDED', (dir) => appendFileSync(path.join(dir, 'model.safetensors'), 'x')],
  [
    'a symbolic link in place of a file',
    'ERR_MISSING_FILE',
    (dir) => {
      renameSync(path.join(dir, 'model.safetensors'), path.join(dir, '..', '..', 'moved'));
      symlinkSync('../../moved', path.join(dir, 'model.safetensors'));
    },
  ],
  [
    'a directory in place of a file',
    'ERR_MISSING_FILE',
    (dir) => {
      rmSync(path.join(dir, 'model.safetensors'));
      mkdirSync(path.join(dir, 'model.safetensors'));
    },
  ],
];

describe.each(ENGINES)('restore with the %s engine', (engine) => {
  test('null only where there is no checkpoint at all', async () => {
    const manager = await openManager(freshDirectory(), { engine });
    expect(await manager.restore()).toBe(null);
    expect(await manager.restore('best')).toBe(null);
    await rejection(manager.restore({ step: 1 }), 'ERR_NOT_FOUND');
    await rejection(manager.restore('nothing'), 'ERR_NOT_FOUND');
  });

  test.each(DAMAGE)('falls back past %s and says so', async (_, code, damage) => {
    const directory = path.join(freshDirectory(), 'checkpoints');
    const manager = await openManager(directory, { engine });
    await manager.save(smallRequest(1));
    const second = await manager.save(smallRequest(2));
    damage(second.path);
    const restored = await manager.restore();
    expect(restored?.info.step).toBe(1);
    expect(restored?.tensors.get('x')?.data[0]).toBe(1);
    expect(restored?.skipped.map(({ name, code: why }) => [name, why])).toEqual([[second.name, code]]);
    // Named, it is not replaced by another.
    expect((await rejection(manager.restore(second.name), code)).checkpoint).toBe(second.name);
    expect((await manager.verify()).problems.map((problem) => [problem.checkpoint, problem.code])).toEqual([[second.name, code]]);
  });

  test.each(DAMAGE)('a damaged only checkpoint (%s) never looks like a first run', async (_, code, damage) => {
    const directory = path.join(freshDirectory(), 'checkpoints');
    const manager = await openManager(directory, { engine });
    const only = await manager.save(smallRequest(1));
    damage(only.path);
    const error = await rejection(manager.restore(), 'ERR_NO_GOOD_CHECKPOINT');
    expect(error.skipped?.map(({ name, code: why }) => [name, why])).toEqual([[only.name, code]]);
    expect(error.message).toContain(only.name);
    await rejection(
      manager.restore({ step: 1 }),
      code === 'ERR_MANIFEST' || code === 'ERR_MISSING_MANIFEST' ? 'ERR_NOT_FOUND' : 'ERR_NO_GOOD_CHECKPOINT',
    );
  });

  test('by step, by name, by path, and the best', async () => {
    const directory = freshDirectory();
    const manager = await openManager(directory, { engine, monitor: 'accuracy' });
    for (const [step, accuracy] of [
      [1, 0.5],
      [2, 0.9],
      [3, Number.NaN],
      [4, 0.7],
    ] as const) {
      await manager.save({ ...smallRequest(step), metrics: { accuracy } });
    }
    expect((await manager.restore({ step: 3 }))?.info.step).toBe(3);
    const best = await manager.restore('best');
    expect(best?.info.step).toBe(2);
    expect((await manager.restore(best?.info.name as string))?.info.step).toBe(2);
    expect((await manager.restore(best?.info.path as string))?.info.step).toBe(2);
    flip(path.join(best?.info.path as string, 'model.safetensors'), 5000);
    const next = await manager.restore('best');
    expect(next?.info.step).toBe(4);
    expect(next?.skipped.map(({ name }) => name)).toEqual([best?.info.name]);
    await rejection(manager.restore({ step: 9 }), 'ERR_NOT_FOUND');
  });

  test('order is by commit sequence, not by step, name or time', async () => {
    const manager = await openManager(freshDirectory(), { engine });
    await manager.save(smallRequest(100));
    await manager.save(smallRequest(5));
    expect((await manager.restore())?.info.step).toBe(5);
    const steps: (number | null)[] = [];
    for await (const { step } of manager.list()) steps.push(step);
    expect(steps).toEqual([100, 5]);
  });

  test('the same step and loss again gets a name of its own, and the later one wins', async () => {
    const manager = await openManager(freshDirectory(), { engine });
    const first = await manager.save(smallRequest(7));
    const again = await manager.save({ ...smallRequest(7), state: 'again' });
    expect(again.name).toBe(`${first.name}.r2`);
    expect((await manager.restore({ step: 7 }))?.state).toBe('again');
    expect((await manager.restore(first.name))?.state).toEqual({ step: 7 });
  });

  test('every copy that somebody made of a checkpoint is read like any other', async () => {
    const directory = freshDirectory();
    const manager = await openManager(directory, { engine });
    const saved = await manager.save(smallRequest(1));
    cpSync(saved.path, path.join(directory, 'my copy'), { recursive: true });
    expect((await manager.restore('my copy'))?.info.step).toBe(1);
    expect((await manager.save(smallRequest(2))).sequence).toBe(2);
  });

  test('damage is reported with its place and its tensor', async () => {
    const manager = await openManager(freshDirectory(), { engine, chunkBytes: 8192 });
    const tensors = Object.fromEntries(
      ['a', 'b', 'c'].map((name) => [name, { dtype: 'U8' as const, shape: [10_000], data: new Uint8Array(10_000).fill(1) }]),
    );
    const saved = await manager.save({ step: 1, tensors });
    flip(path.join(saved.path, 'model.safetensors'), 4096 + 10_500);
    const { problems, ok, checked } = await manager.verify(saved.name);
    expect(ok).toBe(false);
    expect(checked).toEqual({ checkpoints: 1, files: 1, tensors: 3, bytes: 4096 + 30_000 });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatchObject({ code: 'ERR_CHECKSUM', file: 'model.safetensors', offset: 8192, bytes: 8192, tensors: ['b'] });
    expect((await rejection(manager.restore(saved.name), 'ERR_CHECKSUM')).tensors).toEqual(['b']);
  });

  test('what is not a checkpoint is left alone', async () => {
    const directory = freshDirectory();
    mkdirSync(path.join(directory, 'logs'));
    mkdirSync(path.join(directory, '.hidden'));
    writeFileSync(path.join(directory, 'notes.txt'), 'x');
    writeFileSync(path.join(directory, '.hidden', 'manifest.json'), 'x');
    const manager = await openManager(directory, { engine, keep: keep.last(1) });
    expect(await manager.restore()).toBe(null);
    await manager.save(smallRequest(1));
    await manager.save(smallRequest(2));
    expect(readdirSync(directory)).toEqual(expect.arrayContaining(['logs', '.hidden', 'notes.txt']));
  });
});
