/** Several at one directory, a clock that jumps, a directory that goes away. */
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { CheckpointManager } from '../../src/manager/manager.js';
import { keep } from '../../src/policy/keep.js';
import { every } from '../../src/policy/trigger.js';
import { ended, printed, startNode } from '../helpers/child.js';
import { freshDirectory } from '../helpers/directory.js';
import { rejection } from '../helpers/errors.js';
import { openManager, smallRequest } from '../helpers/manager.js';

describe('two managers of one process', () => {
  test('have one order of commits, and share what is best', async () => {
    const directory = freshDirectory();
    const options = { monitor: 'loss', saveBestOnly: true, keep: keep.all() };
    const [a, b] = [await openManager(directory, options), await openManager(directory, options)];
    const results = await Promise.all([a.save(smallRequest(1)), b.save(smallRequest(2)), a.save(smallRequest(3)), b.save(smallRequest(3))]);
    expect(results.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4]);
    expect(results[3]?.name).toBe('checkpoint_step00000003_loss0.2500.r4');
    expect(a.shouldSave({ step: 5, metrics: { loss: 0.25 } })).toBeUndefined();
    expect(b.shouldSave({ step: 5, metrics: { loss: 0.24 } })).toBeDefined();
    await (await b.step({ ...smallRequest(6), metrics: { loss: 0.1 } })).pending?.committed;
    expect(a.shouldSave({ step: 7, metrics: { loss: 0.15 } })).toBeUndefined();
  });

  test('prune and tag come between saves, not into them', async () => {
    const manager = await openManager(freshDirectory(), { keep: keep.all(), maxInFlight: 9 });
    const saves = [1, 2, 3, 4].map((step) => manager.save({ ...smallRequest(step), metrics: {} }));
    const tagged = manager.tag('now', { step: 4 });
    const pruned = manager.prune({ keep: keep.last(1) });
    const last = manager.save({ ...smallRequest(5), metrics: {} });
    await Promise.all([...saves, last]);
    expect(await tagged).toBe('checkpoint_step00000004');
    expect((await pruned).removed.map(({ step }) => step)).toEqual([1, 2, 3]);
    expect((await pruned).kept).toEqual([
      {
        name: 'checkpoint_step00000004',
        sequence: 4,
        step: 4,
        bytes: expect.any(Number),
        reasons: ['newest', 'newest full', 'tag now', 'keep.last(1)'],
      },
    ]);
    const left = readdirSync(manager.directory).filter((name) => name.startsWith('checkpoint_'));
    expect(left).toEqual(['checkpoint_step00000004', 'checkpoint_step00000005']);
  });
});

describe('prune', () => {
  test('says what would go, and why the rest stays, without a lock', async () => {
    const writer = await openManager(freshDirectory(), { keep: keep.all(), monitor: 'loss' });
    for (const step of [1, 2, 3, 4]) await writer.save({ ...smallRequest(step), metrics: { loss: step === 2 ? 0 : 1 } });
    const reader = await openManager(writer.directory, { readOnly: true });
    const before = readdirSync(writer.directory);
    const { dryRun, kept, removed, bytes } = await reader.prune({ keep: keep.last(1), dryRun: true });
    expect([dryRun, removed.map(({ step }) => step)]).toEqual([true, [1, 3]]);
    expect(kept.map(({ step, reasons }) => [step, reasons])).toEqual([
      [2, ['best']],
      [4, ['newest', 'newest full', 'keep.last(1)']],
    ]);
    expect(bytes).toBe(removed.reduce((sum, each) => sum + each.bytes, 0));
    expect(readdirSync(writer.directory)).toEqual(before);
    await rejection(reader.prune({ keep: keep.last(1) }), 'ERR_READ_ONLY');
    await rejection(writer.prune({ keep: keep.last(1), dryRun: 0 as never }), 'ERR_INVALID_ARGUMENT');
    // Without other rules, by those that the directory was opened with.
    expect((await writer.prune({ dryRun: true })).removed).toEqual([]);
  });
});

describe('a reader beside a writer of another process', () => {
  test('opens, lists and restores without a lock, and sweeps nothing', async () => {
    const directory = freshDirectory();
    const child = startNode(
      `
      import { CheckpointManager, keep } from 'holdfast';
      const manager = await CheckpointManager.open(process.argv[1], { keep: keep.last(2) });
      process.on('SIGTERM', () => { stop = true; });
      let stop = false;
      for (let step = 1; !stop; step++) {
        await manager.save({ step, tensors: { x: { dtype: 'I32', shape: [1000], data: new Int32Array(1000).fill(step) } } });
        if (step === 2) console.log('begun');
      }
      await manager.close();
      `,
      [directory],
    );
    await printed(child, 'begun');
    const held = await rejection(CheckpointManager.open(directory), 'ERR_LOCKED');
    expect(held.holder).toMatchObject({ pid: child.pid });
    const reader = await openManager(directory, { readOnly: true });
    let newest = 0;
    for (let i = 0; i < 40; i++) {
      const restored = await reader.restore();
      expect(restored?.skipped).toEqual([]);
      expect([...new Set(restored!.tensors.get('x')!.data as Int32Array)]).toEqual([restored?.step]);
      expect(restored?.step).toBeGreaterThanOrEqual(newest);
      newest = restored?.step ?? 0;
    }
    const end = ended(child);
    child.kill('SIGTERM');
    expect((await end).code).toBe(0);
  });
});

describe('a directory that goes away', () => {
  test('is an error of the next save, of whatever kind, and nothing is made in its place', async () => {
    const directory = path.join(freshDirectory(), 'c');
    const manager = await openManager(directory, { trigger: every.steps(1) });
    await manager.save(smallRequest(1));
    rmSync(directory, { recursive: true });
    for (const call of [
      () => manager.save(smallRequest(2)),
      () => manager.step(smallRequest(3)).then(({ pending }) => pending?.committed),
    ]) {
      const error = await call().then(
        () => expect.fail('resolved'),
        (caught) => caught,
      );
      expect(error.code).toMatch(/^ERR_(LOCK_LOST|NOT_FOUND)$/);
    }
    await rejection(manager.restore(), 'ERR_NOT_FOUND');
    // Somebody else's now.
    mkdirSync(directory);
    const error = await manager.save(smallRequest(4)).catch((caught) => caught);
    expect(error.code).toBe('ERR_LOCK_LOST');
    expect(readdirSync(directory)).toEqual([]);
    await manager.close();
  });
});

describe('a clock that jumps', () => {
  const real = Date.now;
  afterEach(() => {
    Date.now = real;
  });

  test('of a checkpoint from the future the later commit is still the newest', async () => {
    const directory = freshDirectory();
    const manager = await openManager(directory, { keep: keep.last(1), trigger: every.minutes(1) });
    Date.now = () => real() + 1e12;
    await manager.save(smallRequest(1));
    expect(manager.shouldSave({ step: 2 })).toBeUndefined();
    Date.now = () => real() - 1e12;
    expect(manager.shouldSave({ step: 2 })).toBeUndefined();
    const { removed } = await manager.save(smallRequest(2));
    expect(removed).toEqual(['checkpoint_step00000001_loss0.5000']);
    expect((await manager.restore())?.step).toBe(2);
  });
});

describe('duplicate steps after a resume', () => {
  test('the later commit wins, the earlier is kept until retention takes it', async () => {
    const manager = await openManager(freshDirectory(), { keep: keep.last(3) });
    for (const step of [10, 20, 10]) await manager.save({ ...smallRequest(step), metrics: {}, state: { of: step, again: step === 10 } });
    expect((await manager.restore({ step: 10 }))?.info.sequence).toBe(3);
    expect((await manager.restore())?.step).toBe(10);
    expect((await manager.restore('checkpoint_step00000010'))?.info.sequence).toBe(1);
    const { removed } = await manager.save({ ...smallRequest(20), metrics: {} });
    expect(removed).toEqual(['checkpoint_step00000010']);
    expect((await manager.restore({ step: 20 }))?.info.sequence).toBe(4);
  });
});
