/** What `saveAsync` gives, and what `flush` and `close` wait for. */
import { existsSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { CheckpointManager } from '../../src/manager/manager.js';
import { keep } from '../../src/policy/keep.js';
import { freshDirectory } from '../helpers/directory.js';
import { ENGINES } from '../helpers/engines.js';
import { rejection } from '../helpers/errors.js';
import { checkpoints, leftovers } from '../helpers/leftovers.js';
import { openManager, smallRequest } from '../helpers/manager.js';
import { HeldStream, heldRequest } from '../helpers/streams.js';

describe.each(ENGINES)('an accepted save, %s engine', (engine) => {
  test('resolves when the snapshot is taken, long before it is durable', async () => {
    const manager = await openManager(freshDirectory(), { engine });
    const stream = new HeldStream();
    const called = performance.now();
    const pending = await manager.saveAsync(heldRequest(1, stream));
    const waited = performance.now() - called;
    expect(pending.status).toBe('accepted');
    expect(pending.stallMs).toBeGreaterThan(0);
    expect(pending.stallMs).toBeLessThanOrEqual(waited);
    expect(pending.progress).toEqual({ phase: 'queue', bytes: 0, totalBytes: expect.any(Number) });
    expect(pending.progress.totalBytes).toBeGreaterThanOrEqual(8);
    await stream.asked;
    expect(checkpoints(manager.directory)).toEqual([]);
    stream.open();
    const result = await pending.committed;
    expect(result).toMatchObject({ name: 'checkpoint_step00000001', sequence: 1, engine, warnings: [], removed: [] });
    expect(existsSync(result?.path ?? '')).toBe(true);
    expect(pending.progress).toMatchObject({ phase: 'done', bytes: result?.bytes });
    expect(await pending.cancel()).toBe(false);
    expect((await manager.restore())?.tensors.get('held')?.data).toEqual(new Uint8Array(8).fill(1));
  });

  test('committed is the same promise every time', async () => {
    const manager = await openManager(freshDirectory(), { engine });
    const pending = await manager.saveAsync(smallRequest(1));
    expect(pending.committed).toBe(pending.committed);
    expect((await pending.committed)?.name).toContain('step00000001');
  });

  test('whoever hears of a commit finds the place free', async () => {
    const manager = await openManager(freshDirectory(), { engine, whenBusy: 'skip', keep: keep.all() });
    const fromListener: Promise<string>[] = [];
    manager.once('saveCommitted', () => fromListener.push(manager.saveAsync(smallRequest(2)).then(({ status }) => status)));
    const first = await manager.saveAsync(smallRequest(1));
    await first.committed;
    expect(await Promise.all(fromListener)).toEqual(['accepted']);
    await manager.flush();
    const third = await manager.saveAsync(smallRequest(3));
    await third.committed;
    const fourth = await manager.saveAsync(smallRequest(4));
    expect([third.status, fourth.status]).toEqual(['accepted', 'accepted']);
    const failing = await manager.saveAsync(heldRequest(5, new HeldStream())).catch((error) => error);
    expect(failing.status).toBe('skipped');
  });

  test('a loop that gives the event loop no turn of its own still has its saves committed', async () => {
    const manager = await openManager(freshDirectory(), { engine, whenBusy: 'skip' });
    for (let step = 0; step < 3000 && manager.counts.committed < 2; step++) {
      const stepEnds = performance.now() + 1;
      while (performance.now() < stepEnds);
      await Promise.resolve();
      await manager.saveAsync(smallRequest(step));
    }
    expect(manager.counts.committed).toBe(2);
    expect(manager.counts.skipped).toBeGreaterThan(0);
  });

  test('flush waits for all of them, whatever becomes of them', async () => {
    const manager = await openManager(freshDirectory(), { engine, maxInFlight: 3, keep: keep.all() });
    const [first, second] = [new HeldStream(), new HeldStream()];
    const one = await manager.saveAsync(heldRequest(1, first));
    const two = await manager.saveAsync(heldRequest(2, second));
    void one.committed;
    void two.committed.catch(() => {});
    let flushed = false;
    const flushing = manager.flush().then(() => {
      flushed = true;
    });
    first.open();
    await one.committed;
    expect(flushed).toBe(false);
    await second.asked;
    second.fail(new Error('the source broke'));
    await flushing;
    expect(checkpoints(manager.directory)).toHaveLength(1);
    await manager.flush();
  });

  test('close waits; it can be called again; then everything says that it is closed', async () => {
    const directory = freshDirectory();
    const manager = await CheckpointManager.open(directory, { engine });
    const stream = new HeldStream();
    await manager.saveAsync(heldRequest(1, stream));
    const closing = manager.close();
    await rejection(manager.saveAsync(smallRequest(2)), 'ERR_CLOSED');
    expect(checkpoints(directory)).toEqual([]);
    stream.open();
    await closing;
    expect(checkpoints(directory)).toHaveLength(1);
    expect(existsSync(path.join(directory, '.lock'))).toBe(false);
    await manager.close();
    const next = async () => {
      for await (const _ of manager.list()) break;
    };
    for (const call of [
      () => manager.save(smallRequest(2)),
      () => manager.saveAsync(smallRequest(2)),
      () => manager.flush(),
      () => manager.restore(),
      () => manager.verify(),
      () => manager.reserve(1),
      async () => manager.onPreemption(),
      next,
    ]) {
      await rejection(call() as Promise<unknown>, 'ERR_CLOSED');
    }
  });

  test('close with a deadline gives up what is not durable, and says which', async () => {
    const directory = freshDirectory();
    const manager = await CheckpointManager.open(directory, { engine, maxInFlight: 4 });
    const done = await manager.save(smallRequest(1));
    const streams = [new HeldStream(), new HeldStream(), new HeldStream()];
    const pendings = [];
    for (const [i, stream] of streams.entries()) pendings.push(await manager.saveAsync(heldRequest(i + 2, stream)));
    const outcomes = Promise.allSettled(pendings.map(({ committed }) => committed));
    await streams[0]?.asked;
    const cancelled: number[] = [];
    manager.on('saveCancelled', ({ step }) => cancelled.push(step));
    const error = await rejection(manager.close({ deadlineMs: 50 }), 'ERR_DEADLINE');
    expect(error.unwritten).toEqual([2, 3, 4]);
    expect(error.message).toContain('50 ms');
    for (const outcome of await outcomes) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'ERR_ABORTED' } });
      expect((outcome as PromiseRejectedResult).reason.message).toContain('deadline');
    }
    expect(cancelled.sort()).toEqual([2, 3, 4]);
    expect(streams.map(({ released }) => released)).toEqual([1, 1, 1]);
    expect(checkpoints(directory)).toEqual([done.name]);
    expect(leftovers(directory)).toEqual([]);
    // The directory was given up all the same.
    const again = await openManager(directory, { engine });
    expect((await again.restore())?.info.name).toBe(done.name);
  });

  test('a deadline that is not needed changes nothing', async () => {
    const directory = freshDirectory();
    const manager = await CheckpointManager.open(directory, { engine });
    await manager.saveAsync(smallRequest(1));
    await manager.close({ deadlineMs: 60_000 });
    expect(checkpoints(directory)).toHaveLength(1);
    for (const deadlineMs of [-1, 0.5, Number.NaN, '1' as never]) {
      const other = await openManager(directory, { engine });
      await rejection(other.close({ deadlineMs }), 'ERR_INVALID_ARGUMENT');
      await other.close();
    }
  });

  test('await using waits for what is in flight', async () => {
    const directory = freshDirectory();
    {
      await using manager = await CheckpointManager.open(directory, { engine });
      await manager.saveAsync(smallRequest(1));
    }
    expect(checkpoints(directory)).toHaveLength(1);
  });

  test('links and retention move after the commit, never before', async () => {
    const directory = freshDirectory();
    const manager = await openManager(directory, { engine, keep: keep.last(1) });
    const first = await manager.save({ ...smallRequest(1), metrics: {} });
    const stream = new HeldStream();
    const pending = await manager.saveAsync(heldRequest(2, stream));
    await stream.asked;
    const latest = () => readlinkSync(path.join(directory, 'latest'));
    expect([latest(), checkpoints(directory)]).toEqual([first.name, [first.name]]);
    // Whenever one looks, the link leads to a whole checkpoint, and there is one.
    let looks = 0;
    let done = false;
    const watching = (async () => {
      for (; !done; looks++) {
        expect(existsSync(path.join(directory, 'latest', 'manifest.json'))).toBe(true);
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    stream.open();
    const second = await pending.committed;
    done = true;
    await watching;
    expect(looks).toBeGreaterThan(0);
    expect([latest(), second?.removed]).toEqual([second?.name, [first.name]]);
    expect(checkpoints(directory)).toEqual([second?.name]);
  });

  test('a save that fails moves neither', async () => {
    const directory = freshDirectory();
    const manager = await openManager(directory, { engine, keep: keep.last(1) });
    const first = await manager.save({ ...smallRequest(1), metrics: {} });
    const stream = new HeldStream();
    const pending = await manager.saveAsync(heldRequest(2, stream));
    await stream.asked;
    stream.fail(new Error('the source broke'));
    expect((await rejection(pending.committed, 'ERR_SOURCE')).tensors).toEqual(['held']);
    expect(readlinkSync(path.join(directory, 'latest'))).toBe(first.name);
    expect([checkpoints(directory), leftovers(directory)]).toEqual([[first.name], []]);
  });
});
