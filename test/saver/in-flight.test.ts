/** How many saves are in flight, what becomes of one too many, and in which order they are committed. */
import { mkdirSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import type { ManagerEvents } from '../../src/manager/events.js';
import type { CheckpointManager } from '../../src/manager/manager.js';
import type { PendingSave } from '../../src/manager/saver.js';
import { keep } from '../../src/policy/keep.js';
import { freshDirectory } from '../helpers/directory.js';
import { ENGINES } from '../helpers/engines.js';
import { rejection } from '../helpers/errors.js';
import { nativeStats } from '../helpers/leftovers.js';
import { openManager, smallRequest } from '../helpers/manager.js';
import { random32 } from '../helpers/random.js';
import { HeldStream, heldRequest } from '../helpers/streams.js';

async function stepsOf(manager: CheckpointManager): Promise<(number | null)[]> {
  const steps: (number | null)[] = [];
  for await (const { step } of manager.list()) steps.push(step);
  return steps;
}

function heard(manager: CheckpointManager, name: keyof ManagerEvents): unknown[] {
  const events: unknown[] = [];
  manager.on(name, (event) => events.push(event));
  return events;
}

/** A manager whose one place is taken by a save that stands still. */
async function busy(engine: 'native' | 'portable', options: object = {}) {
  const manager = await openManager(freshDirectory(), { engine, keep: keep.all(), ...options });
  const stream = new HeldStream();
  const running = await manager.saveAsync(heldRequest(1, stream));
  await stream.asked;
  return { manager, stream, running };
}

describe.each(ENGINES)('wait, %s engine', (engine) => {
  test.each([1, 2, 3])('%i in flight: the next call resolves when one of them is done', async (maxInFlight) => {
    const { manager, stream, running } = await busy(engine, { maxInFlight });
    for (let step = 2; step <= maxInFlight; step++) await manager.saveAsync(smallRequest(step));
    let resolved = false;
    const waiting = manager.saveAsync(smallRequest(9)).then((pending) => {
      resolved = true;
      return pending;
    });
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(resolved).toBe(false);
    stream.open();
    const pending = await waiting;
    await running.committed;
    expect(pending.status).toBe('accepted');
    expect(pending.stallMs).toBeGreaterThanOrEqual(60 - 1);
    const result = await pending.committed;
    // What the call waited for is not what the event loop was blocked for.
    expect(result?.seconds.stall).toBeCloseTo(pending.stallMs / 1000, 6);
    expect(result?.seconds.snapshot).toBeLessThan(result?.seconds.stall as number);
    expect(result?.seconds.queue).toBeGreaterThan(0.05);
  });

  test('a call that waits can be taken back by its signal: nothing was accepted', async () => {
    const { manager, stream } = await busy(engine);
    const accepted = heard(manager, 'saveAccepted');
    const stop = new AbortController();
    const other = new HeldStream();
    const waiting = manager.saveAsync({ ...heldRequest(2, other), signal: stop.signal });
    const behind = manager.saveAsync(smallRequest(3));
    stop.abort();
    await rejection(waiting, 'ERR_ABORTED');
    expect([other.released, other.read]).toEqual([1, 0]);
    stream.open();
    await (await behind).committed;
    expect(accepted).toMatchObject([{ step: 3 }]);
    expect(await stepsOf(manager)).toEqual([1, 3]);
  });
});

describe.each(ENGINES)('skip, %s engine', (engine) => {
  test('captures nothing, counts, and says so', async () => {
    const { manager, stream, running } = await busy(engine, { whenBusy: 'skip' });
    const events = heard(manager, 'saveSkipped');
    const before = nativeStats();
    const other = new HeldStream();
    for (const step of [2, 3]) {
      const data = new Uint8Array(1000);
      const more = [
        { name: 'copied', dtype: 'U8' as const, shape: [1000], data },
        { name: 'pinned', dtype: 'U8' as const, shape: [1000], data, stable: true },
      ];
      const skipped: PendingSave = await manager.saveAsync(heldRequest(step, other, more));
      expect(skipped).toMatchObject({ status: 'skipped', progress: { phase: 'queue', bytes: 0, totalBytes: 0 } });
      expect(skipped.stallMs).toBeGreaterThanOrEqual(0);
      expect(await skipped.committed).toBe(null);
      expect(await skipped.cancel()).toBe(true);
      // It may be given away at once: nobody holds it.
      structuredClone(data, { transfer: [data.buffer] });
    }
    expect([other.released, other.read]).toEqual([0, 0]);
    expect(nativeStats()).toEqual(before);
    const about = { directory: manager.directory, epoch: undefined, inFlight: 1 };
    expect(events).toEqual([
      { ...about, step: 2, skipped: 1 },
      { ...about, step: 3, skipped: 2 },
    ]);
    expect(manager.counts).toEqual({ accepted: 1, committed: 0, skipped: 2, replaced: 0, cancelled: 0, failed: 0 });
    stream.open();
    await running.committed;
    expect((await manager.saveAsync(smallRequest(4))).status).toBe('accepted');
    await manager.flush();
    expect(await stepsOf(manager)).toEqual([1, 4]);
  });

  test('is checked like any other call', async () => {
    const { manager, stream } = await busy(engine, { whenBusy: 'skip' });
    await rejection(manager.saveAsync({ ...smallRequest(2), step: -1 }), 'ERR_INVALID_ARGUMENT');
    expect(manager.counts.skipped).toBe(0);
    stream.open();
  });

  test('a save() is never left out', async () => {
    const { manager, stream } = await busy(engine, { whenBusy: 'skip' });
    const saving = manager.save(smallRequest(2));
    stream.open();
    expect((await saving).sequence).toBe(2);
  });
});

describe.each(ENGINES)('replace, %s engine', (engine) => {
  test('the newest that waits makes room; the one being written is not touched', async () => {
    const { manager, stream, running } = await busy(engine, { whenBusy: 'replace' });
    const events = heard(manager, 'saveReplaced');
    const before = nativeStats();
    const streams = [2, 3, 4].map(() => new HeldStream());
    const pendings: PendingSave[] = [];
    for (const [i, other] of streams.entries()) pendings.push(await manager.saveAsync(heldRequest(i + 2, other)));
    for (const pending of pendings.slice(0, 2)) {
      const error = await rejection(pending.committed, 'ERR_REPLACED');
      expect(error.message).toContain('newer save');
      expect(await pending.cancel()).toBe(true);
    }
    expect(streams.map(({ released, read }) => [released, read])).toEqual([
      [1, 0],
      [1, 0],
      [0, 0],
    ]);
    expect(nativeStats().pins).toBe(before.pins);
    expect(events).toMatchObject([{ step: 2 }, { step: 3 }]);
    expect(manager.counts).toMatchObject({ accepted: 4, replaced: 2, failed: 0, cancelled: 0 });
    stream.open();
    streams[2]?.open();
    await running.committed;
    await pendings[2]?.committed;
    expect(await stepsOf(manager)).toEqual([1, 4]);
    // Nobody needs to hear of a save that was replaced: the next call does not throw it.
    await manager.flush();
  });

  test('calls that nobody waits for replace each other: the calls resolve, committed says so', async () => {
    const manager = await openManager(freshDirectory(), { engine, whenBusy: 'replace', keep: keep.all() });
    const calls = [1, 2, 3, 4].map((step) => manager.saveAsync(smallRequest(step)));
    const pendings = await Promise.all(calls);
    expect(pendings.map(({ status }) => status)).toEqual(['accepted', 'accepted', 'accepted', 'accepted']);
    const outcomes = await Promise.all(
      pendings.map(({ committed }) =>
        committed.then(
          () => 'committed',
          (error) => error.code,
        ),
      ),
    );
    expect(outcomes).toEqual(['committed', 'ERR_REPLACED', 'ERR_REPLACED', 'committed']);
  });

  test('a save() is never replaced, nor is what another manager waits for', async () => {
    const { manager, stream } = await busy(engine, { whenBusy: 'replace' });
    const second = await openManager(manager.directory, { engine, keep: keep.all(), whenBusy: 'replace' });
    const saving = manager.save(smallRequest(2));
    const others = await second.saveAsync(smallRequest(3));
    const own = await manager.saveAsync(smallRequest(4));
    const newer = await manager.saveAsync(smallRequest(5));
    await rejection(own.committed, 'ERR_REPLACED');
    stream.open();
    await Promise.all([saving, others.committed, newer.committed]);
    expect(await stepsOf(manager)).toEqual([1, 2, 3, 5]);
    expect([manager.counts.replaced, second.counts.replaced]).toEqual([1, 0]);
  });

  test('a newer one that is refused replaces nothing', async () => {
    const { manager, stream } = await busy(engine, { whenBusy: 'replace' });
    const waiting = await manager.saveAsync(smallRequest(2));
    await rejection(manager.saveAsync({ ...smallRequest(3), state: { at: 1n } as never }), 'ERR_INVALID_STATE');
    stream.open();
    expect((await waiting.committed)?.sequence).toBe(2);
  });

  test('memory that only the older one holds is taken from it', async () => {
    const mib = 2 ** 20;
    const { manager, stream } = await busy(engine, { whenBusy: 'replace', memoryBudgetBytes: 8 * mib });
    const whole = (step: number) => ({ step, tensors: { x: { dtype: 'U8' as const, shape: [8 * mib], data: new Uint8Array(8 * mib) } } });
    const older = await manager.saveAsync(whole(2));
    const newer = await manager.saveAsync(whole(3));
    await rejection(older.committed, 'ERR_REPLACED');
    stream.open();
    await newer.committed;
    expect(await stepsOf(manager)).toEqual([1, 3]);
  });
});

describe.each(ENGINES)('order, %s engine', (engine) => {
  test('of the calls, whatever the sizes, of save and saveAsync, of two managers of one directory', async () => {
    const parent = freshDirectory();
    const directory = path.join(parent, 'real');
    mkdirSync(directory);
    symlinkSync('real', path.join(parent, 'link'));
    const next = random32(Number(process.env['HOLDFAST_SEED'] ?? Date.now()));
    const managers = await Promise.all(
      [directory, path.join(parent, 'link')].map((place) => openManager(place, { engine, keep: keep.all(), maxInFlight: 3 })),
    );
    const committed: number[] = [];
    for (const manager of managers) manager.on('saveCommitted', ({ step }) => committed.push(step));
    const order = Array.from({ length: 24 }, (_, i) => i + 1);
    await Promise.all(
      order.map((step) => {
        const manager = managers[next() % 2] as CheckpointManager;
        const request = smallRequest(step, next() % 3 === 0 ? 200_000 : 10);
        return next() % 2 === 0 ? manager.save(request) : manager.saveAsync(request);
      }),
    );
    await Promise.all(managers.map((manager) => manager.flush()));
    expect(committed).toEqual(order);
    expect(await stepsOf(managers[0] as CheckpointManager)).toEqual(order);
    const sequences: (number | null)[] = [];
    for await (const { sequence } of (managers[1] as CheckpointManager).list()) sequences.push(sequence);
    expect(sequences).toEqual(order);
  });

  test('saves of different directories are written at the same time', async () => {
    const [one, two] = [await busy(engine), await busy(engine)];
    two.stream.open();
    await two.running.committed;
    expect(await stepsOf(one.manager)).toEqual([]);
    one.stream.open();
    await one.running.committed;
  });
});
