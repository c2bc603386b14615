/** Many saves in a row, of every ending: what the process and the directory hold afterwards is what they held before. */
import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { PendingSave } from '../../src/manager/saver.js';
import { keep } from '../../src/policy/keep.js';
import { workersOf } from '../../src/saver/pool.js';
import { freshDirectory } from '../helpers/directory.js';
import { ENGINES } from '../helpers/engines.js';
import { nativeStats, processFigures, spareStagingBytes, until } from '../helpers/leftovers.js';
import { openManager } from '../helpers/manager.js';
import { chunks } from '../helpers/streams.js';

/** Saves in all; a tenth of them before counting begins, so that what is kept for reuse is there. */
const SAVES = Number(process.env['HOLDFAST_SAVES'] ?? (process.env['HOLDFAST_TORTURE'] === '1' ? 20_000 : 300));
const IN_FLIGHT = 3;

describe.skipIf(process.platform !== 'linux').each(ENGINES)('no growth, %s engine', (engine) => {
  const saves = Math.ceil(SAVES / ENGINES.length);

  test(`${saves} saves in the background`, { timeout: 60_000 + saves * 200 }, async () => {
    const directory = freshDirectory();
    const manager = await openManager(directory, { engine, keep: keep.last(2), maxInFlight: IN_FLIGHT });
    const copied = new Uint8Array(50_000);
    const pinned = new Uint8Array(50_000);
    /** Copied, pinned and streamed memory; some fail, some are cancelled while they wait or are written. */
    const save = async (step: number): Promise<void> => {
      const stream = chunks([new Uint8Array(1000), new Uint8Array(step % 7 === 3 ? 999 : 1000)]);
      const pending: PendingSave = await manager.saveAsync({
        step,
        tensors: {
          copied: { dtype: 'U8', shape: [copied.length], data: copied },
          pinned: { dtype: 'U8', shape: [pinned.length], data: pinned, stable: true },
          streamed: { dtype: 'U8', shape: [2000], data: Object.assign(stream, { byteLength: 2000 }) },
        },
        state: { step },
      });
      const outcome = pending.committed.catch(() => {});
      if (step % 11 === 5) await pending.cancel();
      if (step % IN_FLIGHT === 0) await outcome;
    };
    const settle = async () => {
      await manager.flush();
      await until(() => nativeStats().writers === 0 && nativeStats().abortTokens === 0);
    };
    const warmUp = Math.ceil(saves / 10);
    for (let step = 0; step < warmUp; step++) await save(step);
    await settle();
    const before = { stats: nativeStats(), figures: processFigures(), files: readdirSync(directory).length, workers: workersOf(0).length };
    for (let step = warmUp; step < saves; step++) await save(step);
    await settle();
    const { accepted, committed, cancelled, failed } = manager.counts;
    expect([accepted, committed + cancelled + failed]).toEqual([saves, saves]);
    expect([committed > 0, cancelled > 0, failed > 0]).toEqual([true, true, true]);
    expect(nativeStats()).toEqual(before.stats);
    expect(nativeStats()).toMatchObject({ pins: 0, writers: 0, readers: 0, stagingBytes: before.stats.stagingBytes });
    expect(spareStagingBytes()).toBeLessThanOrEqual(72 << 20);
    // On a busy machine a save may come before the worker has said that it is done with the last one, and gets a second one.
    expect(workersOf(0).length).toBeLessThanOrEqual(before.workers + 1);
    // Node.js opens descriptors of its own now and then, such as for its thread pool.
    expect(processFigures().descriptors).toBeLessThanOrEqual(before.figures.descriptors + 2);
    expect(processFigures().threads).toBeLessThanOrEqual(before.figures.threads + 1);
    expect(readdirSync(directory).length).toBe(before.files);
    expect((await manager.verify()).problems).toEqual([]);
  });
});
