/** An evaluation process hears of new checkpoints. */
import { renameSync, rmSync, truncateSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as later } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { CheckpointManager } from '../../src/manager/manager.js';
import { keep } from '../../src/policy/keep.js';
import { printed, startNode } from '../helpers/child.js';
import { freshDirectory } from '../helpers/directory.js';
import { rejection, thrown } from '../helpers/errors.js';
import { openManager, smallRequest } from '../helpers/manager.js';

/** The next `count` steps that a watch yields. */
async function take(watch: AsyncIterator<{ readonly step: number | null }>, count: number): Promise<(number | null)[]> {
  const steps: (number | null)[] = [];
  while (steps.length < count) {
    const { done, value } = await watch.next();
    if (done) break;
    steps.push(value.step);
  }
  return steps;
}

describe('watch', () => {
  test('yields what is committed from now on, once each, in commit order', async () => {
    const directory = freshDirectory();
    const writer = await openManager(directory, { keep: keep.all() });
    await writer.save(smallRequest(1));
    const reader = await openManager(directory, { readOnly: true });
    const watch = reader.watch();
    const first = take(watch, 3);
    // The generator has begun to look, which it does in the call's own turn and the reads behind it.
    await later(100);
    for (const step of [5, 3, 3]) await writer.save(smallRequest(step));
    expect(await first).toEqual([5, 3, 3]);
    const second = take(watch, 1);
    await writer.save(smallRequest(9));
    expect(await second).toEqual([9]);
    await watch.return();
  });

  test('from a sequence on, of which 0 is everything', async () => {
    const writer = await openManager(freshDirectory(), { keep: keep.all() });
    for (const step of [1, 2, 3]) await writer.save(smallRequest(step));
    expect(await take(writer.watch({ since: 0 }), 3)).toEqual([1, 2, 3]);
    expect(await take(writer.watch({ since: 2 }), 1)).toEqual([3]);
  });

  test('leaves out what is damaged, or gone before it was its turn', async () => {
    const writer = await openManager(freshDirectory(), { keep: keep.all() });
    const saved = [];
    for (const step of [1, 2, 3]) saved.push(await writer.save(smallRequest(step)));
    truncateSync(path.join(saved[0]?.path ?? '', 'model.safetensors'), 8);
    rmSync(saved[1]?.path ?? '', { recursive: true });
    expect(await take(writer.watch({ since: 0 }), 1)).toEqual([3]);
  });

  test('of a process that keeps only one, a slow reader hears of the newest, and can restore what it hears of', async () => {
    const directory = freshDirectory();
    const child = startNode(
      `
      import { CheckpointManager, keep } from 'holdfast';
      const manager = await CheckpointManager.open(process.argv[1], { keep: keep.last(1) });
      for (let step = 1; step <= 30; step++) {
        await manager.save({ step, tensors: { x: { dtype: 'I32', shape: [1000], data: new Int32Array(1000).fill(step) } } });
        if (step === 1) console.log('begun');
      }
      await manager.close();
      `,
      [directory],
    );
    await printed(child, 'begun');
    const reader = await openManager(directory, { readOnly: true });
    const heard: number[] = [];
    for await (const { step, path: place } of reader.watch({ since: 0, intervalMs: 50 })) {
      const restored = await reader.restore(place).catch((error) => error);
      // Gone meanwhile, or all of it: never anything else.
      if (restored instanceof Error)
        expect(restored).toMatchObject({ code: expect.stringMatching(/^ERR_(NOT_FOUND|MISSING_FILE|MISSING_MANIFEST)$/) });
      else expect([...new Set(restored.tensors.get('x').data)]).toEqual([step]);
      heard.push(step as number);
      if (step === 30) break;
    }
    expect(heard).toEqual([...heard].sort((a, b) => a - b));
    expect(heard.at(-1)).toBe(30);
  });

  test('ends when the manager is closed, and rejects when it is aborted or the directory goes away', async () => {
    const directory = path.join(freshDirectory(), 'c');
    await (await CheckpointManager.open(directory)).close();
    const closing = await CheckpointManager.open(directory, { readOnly: true });
    const ending = take(closing.watch({ intervalMs: 20 }), 1);
    await closing.close();
    expect(await ending).toEqual([]);
    const reader = await openManager(directory, { readOnly: true });
    const stop = new AbortController();
    const aborted = rejection(take(reader.watch({ signal: stop.signal, intervalMs: 60_000 }), 1), 'ERR_ABORTED');
    await later(50);
    stop.abort();
    await aborted;
    const gone = rejection(take(reader.watch({ intervalMs: 20 }), 1), 'ERR_NOT_FOUND');
    await later(50);
    renameSync(directory, `${directory}-elsewhere`);
    await gone;
  });

  test('its options are checked in the call', async () => {
    const reader = await openManager((await openManager(freshDirectory())).directory, { readOnly: true });
    thrown(() => reader.watch({ since: -1 }), 'ERR_INVALID_ARGUMENT');
    thrown(() => reader.watch({ intervalMs: 0 }), 'ERR_INVALID_ARGUMENT');
    thrown(() => reader.watch({ sinc: 1 } as never), 'ERR_UNKNOWN_OPTION');
    await reader.close();
    thrown(() => reader.watch(), 'ERR_CLOSED');
  });
});
