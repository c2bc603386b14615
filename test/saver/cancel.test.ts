/** Stopping a save: in the queue, while it is written, while a stream is stuck, and too late. Never a torn commit, and nothing stays held. */
import { describe, expect, test } from 'vitest';
import type { ManagerEvents } from '../../src/manager/events.js';
import type { CheckpointManager } from '../../src/manager/manager.js';
import type { PendingSave } from '../../src/manager/saver.js';
import { keep } from '../../src/policy/keep.js';
import { freshDirectory } from '../helpers/directory.js';
import { ENGINES } from '../helpers/engines.js';
import { rejection } from '../helpers/errors.js';
import { checkpoints, leftovers, nativeStats, until } from '../helpers/leftovers.js';
import { openManager, smallRequest } from '../helpers/manager.js';
import { random32, randomBytes } from '../helpers/random.js';
import { HeldStream, heldRequest } from '../helpers/streams.js';

const MIB = 2 ** 20;

/** Everything that a save may hold: pinned memory, copies, and a stream. */
function everything(step: number, stream: HeldStream) {
  const copied = { name: 'copied', dtype: 'U8' as const, shape: [3 * MIB], data: new Uint8Array(3 * MIB) };
  const data = new Uint8Array(10_000);
  return { data, request: heldRequest(step, stream, [copied, { name: 'pinned', dtype: 'U8', shape: [data.length], data, stable: true }]) };
}

/** Nothing is held any more, nothing was left, and all the memory for copies is free. */
async function expectNothingHeld(manager: CheckpointManager, before: ReturnType<typeof nativeStats>): Promise<void> {
  // Native writers are closed by their own threads.
  await until(() => nativeStats().writers === before.writers && nativeStats().abortTokens === before.abortTokens);
  expect(nativeStats()).toMatchObject({ pins: before.pins, readers: before.readers });
  expect(leftovers(manager.directory)).toEqual([]);
  const whole = { name: 'x', dtype: 'U8' as const, shape: [8 * MIB], data: new Uint8Array(8 * MIB) };
  await manager.save({ step: 1000, tensors: [whole] });
}

describe.each(ENGINES)('cancelled, %s engine', (engine) => {
  const options = { engine, memoryBudgetBytes: 8 * MIB, maxInFlight: 2, keep: keep.all() } as const;

  test.each(['cancel()', 'its signal'])('in the queue, by %s', async (how) => {
    const manager = await openManager(freshDirectory(), options);
    const running = new HeldStream();
    const first = await manager.saveAsync(heldRequest(1, running));
    await running.asked;
    const before = nativeStats();
    const stop = new AbortController();
    const stream = new HeldStream();
    const { data, request } = everything(2, stream);
    const pending = await manager.saveAsync({ ...request, signal: stop.signal });
    const events: unknown[] = [];
    manager.on('saveCancelled', (event) => events.push(event));
    if (how === 'cancel()') expect(await pending.cancel()).toBe(true);
    else stop.abort(new Error('enough'));
    const error = await rejection(pending.committed, 'ERR_ABORTED');
    expect((error.cause as Error | undefined)?.message).toBe(how === 'cancel()' ? undefined : 'enough');
    expect([stream.released, stream.read]).toEqual([1, 0]);
    // While the other one is still being written: the memory was let go at once, and may be given away.
    expect(nativeStats().pins).toBe(before.pins);
    expect(Object.getOwnPropertyNames(data.buffer)).toEqual([]);
    expect(events).toEqual([{ directory: manager.directory, step: 2, epoch: undefined }]);
    running.open();
    await first.committed;
    await expectNothingHeld(manager, { ...before, writers: 0, abortTokens: 0 });
    expect(checkpoints(manager.directory)).toEqual(['checkpoint_step00000001', 'checkpoint_step00001000']);
    expect(manager.counts).toMatchObject({ cancelled: 1, failed: 0, committed: 2 });
  });

  test.each(['cancel()', 'its signal'])('while a stream is stuck, by %s', async (how) => {
    const manager = await openManager(freshDirectory(), options);
    const before = nativeStats();
    const stop = new AbortController();
    const stream = new HeldStream();
    const { data, request } = everything(1, stream);
    const pending = await manager.saveAsync({ ...request, signal: stop.signal });
    const behind = await manager.saveAsync(smallRequest(2));
    await stream.asked;
    if (how === 'cancel()') expect(await pending.cancel()).toBe(true);
    else stop.abort(new Error('enough'));
    await rejection(pending.committed, 'ERR_ABORTED');
    expect(stream.released).toBe(1);
    expect(Object.getOwnPropertyNames(data.buffer)).toEqual([]);
    await behind.committed;
    await expectNothingHeld(manager, before);
    // The stream comes too late; nobody listens.
    stream.open();
    expect(checkpoints(manager.directory)).not.toContain('checkpoint_step00000001');
  });

  test('at any moment of being written: there is a whole checkpoint, or none', { timeout: 120_000 }, async () => {
    const manager = await openManager(freshDirectory(), { ...options, verifyWrites: true });
    const next = random32(Number(process.env['HOLDFAST_SEED'] ?? Date.now()));
    const before = nativeStats();
    const data = randomBytes(2 * MIB, 5);
    const outcomes = { cancelled: 0, committed: 0 };
    for (let step = 1; step <= 25; step++) {
      const pending = await manager.saveAsync({
        step,
        tensors: { copied: { dtype: 'U8', shape: [data.length], data }, pinned: { dtype: 'U8', shape: [data.length], data, stable: true } },
        state: { step },
      });
      await new Promise((resolve) => setTimeout(resolve, next() % 25));
      const cancelled = await pending.cancel();
      outcomes[cancelled ? 'cancelled' : 'committed']++;
      expect(leftovers(manager.directory)).toEqual([]);
      if (cancelled) await rejection(pending.committed, 'ERR_ABORTED');
      const restored = await manager.restore();
      if (cancelled) expect(restored?.info.step).not.toBe(step);
      else expect([restored?.info.step, Buffer.compare(restored?.tensors.get('copied')?.data as Uint8Array, data)]).toEqual([step, 0]);
    }
    expect((await manager.verify()).problems).toEqual([]);
    expect(outcomes.cancelled).toBeGreaterThan(0);
    expect(manager.counts).toMatchObject({ ...outcomes, failed: 0 });
    await expectNothingHeld(manager, before);
  });

  test('in every phase that a save tells of', async () => {
    const manager = await openManager(freshDirectory(), { ...options, verifyWrites: true });
    const data = randomBytes(4 * MIB, 5);
    const phases = ['write', 'sync', 'verify', 'commit', 'done'] as const;
    for (const [i, phase] of phases.entries()) {
      let stopped: Promise<boolean> | undefined;
      const pending = await manager.saveAsync({
        step: i,
        // Memory promised stable is looked at before the commit, so that the worker waits for this thread then.
        tensors: { x: { dtype: 'U8', shape: [data.length], data, stable: true } },
        onProgress: (progress) => {
          if (progress.phase === phase) stopped ??= pending.cancel();
        },
      });
      const outcome = await pending.committed.then(
        // What came too late does not keep links and retention from their work either.
        (result) => (result?.warnings.length === 0 ? 'committed' : result?.warnings.join()),
        (error) => error.code,
      );
      expect(await stopped).toBe(outcome === 'ERR_ABORTED');
      expect(['committed', 'ERR_ABORTED']).toContain(outcome);
      if (['write', 'sync', 'verify'].includes(phase)) expect(outcome).toBe('ERR_ABORTED');
      if (phase === 'done') expect(outcome).toBe('committed');
      const there = checkpoints(manager.directory).includes(`checkpoint_step0000000${i}`);
      expect([there, leftovers(manager.directory)]).toEqual([outcome === 'committed', []]);
    }
    expect((await manager.verify()).problems).toEqual([]);
  });

  test('too late by a moment: links and retention do their work all the same', async () => {
    const manager = await openManager(freshDirectory(), { ...options, keep: keep.last(1) });
    await manager.save(smallRequest(1));
    let late = false;
    for (let step = 2; step < 12 && !late; step++) {
      let cancelling: Promise<boolean> | undefined;
      const pending = await manager.saveAsync({
        ...smallRequest(step),
        onProgress: ({ phase }) => {
          if (phase !== 'commit' || cancelling !== undefined) return;
          // While nobody listens the worker publishes; then it is told to stop.
          const until = performance.now() + 150;
          while (performance.now() < until);
          cancelling = pending.cancel();
        },
      });
      const result = await pending.committed.catch(() => null);
      late = result !== null;
      expect(await cancelling).toBe(!late);
      if (late) expect([result?.warnings, result?.removed.length]).toEqual([[], 1]);
      expect(checkpoints(manager.directory)).toHaveLength(1);
    }
    expect(late).toBe(true);
  });

  test('after the commit: too late', async () => {
    const manager = await openManager(freshDirectory(), options);
    const stop = new AbortController();
    const events: ManagerEvents['saveCancelled'][] = [];
    manager.on('saveCancelled', (event) => events.push(event));
    const stream = new HeldStream();
    const pending = await manager.saveAsync({ ...heldRequest(1, stream), signal: stop.signal });
    stream.open();
    await pending.committed;
    stop.abort();
    expect([await pending.cancel(), await pending.cancel()]).toEqual([false, false]);
    expect([stream.released, events]).toEqual([1, []]);
    expect(checkpoints(manager.directory)).toHaveLength(1);
    expect(manager.counts).toMatchObject({ committed: 1, cancelled: 0 });
  });

  test('twice, and all at once, from the newest to the oldest and back', async () => {
    const manager = await openManager(freshDirectory(), { ...options, maxInFlight: 6 });
    const before = nativeStats();
    const streams = Array.from({ length: 5 }, () => new HeldStream());
    const pendings: PendingSave[] = [];
    for (const [i, stream] of streams.entries()) pendings.push(await manager.saveAsync(heldRequest(i + 1, stream)));
    await streams[0]?.asked;
    const order = [4, 0, 2, 2, 1, 3, 0];
    expect(await Promise.all(order.map((i) => pendings[i]?.cancel()))).toEqual(order.map(() => true));
    expect(streams.map(({ released }) => released)).toEqual([1, 1, 1, 1, 1]);
    expect(manager.counts).toMatchObject({ accepted: 5, cancelled: 5 });
    await expectNothingHeld(manager, before);
  });

  test('whoever cancels need not listen: nothing is thrown later', async () => {
    const manager = await openManager(freshDirectory(), options);
    const stream = new HeldStream();
    const pending = await manager.saveAsync(heldRequest(1, stream));
    await stream.asked;
    await pending.cancel();
    await manager.flush();
    await manager.save(smallRequest(2));
  });
});
