/** What streams read from is let go once, when an accepted save is over, whatever became of it; and never when nothing was accepted. */
import { describe, expect, test } from 'vitest';
import type { CheckpointManager } from '../../src/manager/manager.js';
import { workersOf } from '../../src/saver/pool.js';
import { freshDirectory } from '../helpers/directory.js';
import { ENGINES } from '../helpers/engines.js';
import { openManager, smallRequest } from '../helpers/manager.js';
import { HeldStream, heldRequest } from '../helpers/streams.js';

interface Given {
  readonly manager: CheckpointManager;
  /** The stream in question. */
  readonly stream: HeldStream;
  /** That of a save before it. */
  readonly first: HeldStream;
}

/** One ending each: how it comes about, and what the save said. */
const ENDINGS: [string, string, (given: Given) => Promise<unknown>][] = [
  [
    'committed',
    'committed',
    async ({ manager, stream }) => {
      stream.open();
      return (await manager.saveAsync(heldRequest(2, stream))).committed;
    },
  ],
  [
    'saved by save()',
    'committed',
    async ({ manager, stream }) => {
      stream.open();
      return manager.save(heldRequest(2, stream));
    },
  ],
  [
    'failed by its stream',
    'ERR_SOURCE',
    async ({ manager, stream }) => {
      stream.fail(new Error('the source broke'));
      return (await manager.saveAsync(heldRequest(2, stream))).committed;
    },
  ],
  [
    'failed by another tensor',
    'ERR_SOURCE_LENGTH',
    async ({ manager, stream }) => {
      stream.open();
      const short = Object.assign(new HeldStream(4), { byteLength: 5, async *[Symbol.asyncIterator]() {} });
      return (await manager.saveAsync(heldRequest(2, stream, [{ name: 'a', dtype: 'U8', shape: [5], data: short }]))).committed;
    },
  ],
  [
    'cancelled while it is written',
    'ERR_ABORTED',
    async ({ manager, stream }) => {
      const pending = await manager.saveAsync(heldRequest(2, stream));
      await stream.asked;
      await pending.cancel();
      return pending.committed;
    },
  ],
  [
    'cancelled in the queue',
    'ERR_ABORTED',
    async ({ manager, stream, first }) => {
      await manager.saveAsync(heldRequest(1, first));
      const pending = await manager.saveAsync(heldRequest(2, stream));
      await pending.cancel();
      return pending.committed;
    },
  ],
  [
    'replaced',
    'ERR_REPLACED',
    async ({ manager, stream, first }) => {
      for (const step of [0, 1]) await manager.saveAsync({ ...heldRequest(step, first), whenBusy: 'replace' });
      const pending = await manager.saveAsync({ ...heldRequest(2, stream), whenBusy: 'replace' });
      await manager.saveAsync({ ...smallRequest(3), whenBusy: 'replace' });
      return pending.committed;
    },
  ],
  [
    'given up by close',
    'ERR_ABORTED',
    async ({ manager, stream }) => {
      const pending = await manager.saveAsync(heldRequest(2, stream));
      const outcome = pending.committed;
      outcome.catch(() => {});
      await manager.close({ deadlineMs: 1 }).catch(() => {});
      return outcome;
    },
  ],
  [
    'of a worker that died',
    'ERR_WORKER',
    async ({ manager, stream }) => {
      const pending = await manager.saveAsync(heldRequest(2, stream));
      await stream.asked;
      for (const worker of workersOf(0)) await worker.terminate();
      return pending.committed;
    },
  ],
];

describe.each(ENGINES)('let go once, %s engine', (engine) => {
  test.each(ENDINGS)('%s', async (_, expected, make) => {
    const manager = await openManager(freshDirectory(), { engine, maxInFlight: 2 });
    const [stream, first] = [new HeldStream(), new HeldStream()];
    const outcome = await make({ manager, stream, first }).then(
      () => 'committed',
      (error) => error.code,
    );
    expect([outcome, stream.released]).toEqual([expected, 1]);
    first.open();
    await manager.close().catch(() => {});
    // … and not a second time at the end.
    expect(stream.released).toBe(1);
  });

  test('of both sets of tensors, and of all of them although one throws', async () => {
    const manager = await openManager(freshDirectory(), { engine });
    const streams = Array.from({ length: 4 }, () => new HeldStream());
    for (const stream of streams) stream.open();
    const [a, b, c, d] = streams as [HeldStream, HeldStream, HeldStream, HeldStream];
    const warned = new Promise<Error>((resolve) => process.once('warning', resolve));
    b.release = () => {
      b.released++;
      throw new Error('my bug');
    };
    const tensor = (name: string, data: HeldStream) => ({ name, dtype: 'U8' as const, shape: [8], data });
    await manager.save({ step: 1, tensors: [tensor('a', a), tensor('b', b)], optimizer: [tensor('a', c), tensor('d', d)] });
    expect(streams.map(({ released }) => released)).toEqual([1, 1, 1, 1]);
    expect((await warned).message).toContain('my bug');
  });

  test('when the bytes are on disk; the save under way does not hold it until the end of its tidying up', async () => {
    const manager = await openManager(freshDirectory(), { engine });
    const stream = new HeldStream();
    stream.open();
    const seen: [string, number][] = [];
    const pending = await manager.saveAsync({ ...heldRequest(1, stream), onProgress: ({ phase }) => seen.push([phase, stream.released]) });
    await pending.committed;
    expect(seen.filter(([phase]) => phase === 'done')).toEqual([['done', 1]]);
    expect(seen.filter(([phase, released]) => phase !== 'done' && released > 0)).toEqual([]);
  });
});
