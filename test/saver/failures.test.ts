/** A save that fails in the background: nobody can miss it, nobody hears of it twice, and no process dies of it. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { readdirSync, rmSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { CheckpointManager } from '../../src/manager/manager.js';
import type { PendingSave } from '../../src/manager/saver.js';
import { ended, startNode } from '../helpers/child.js';
import { freshDirectory } from '../helpers/directory.js';
import { ENGINES } from '../helpers/engines.js';
import { rejection } from '../helpers/errors.js';
import { checkpoints, leftovers, until } from '../helpers/leftovers.js';
import { openManager, smallRequest } from '../helpers/manager.js';
import { HeldStream, heldRequest } from '../helpers/streams.js';

/** Lets a save of `step` fail; resolves when it has, without listening to it. */
async function failing(manager: CheckpointManager, step: number, options: object = {}): Promise<PendingSave> {
  const { failed } = manager.counts;
  const stream = new HeldStream();
  stream.fail(new Error(`source ${step} broke`));
  const pending = await manager.saveAsync({ ...heldRequest(step, stream), ...options });
  await until(() => manager.counts.failed === failed + 1);
  return pending;
}

const CALLS: [string, (manager: CheckpointManager) => Promise<unknown>][] = [
  ['save', (manager) => manager.save(smallRequest(9))],
  ['saveAsync', (manager) => manager.saveAsync(smallRequest(9))],
  ['flush', (manager) => manager.flush()],
  ['restore', (manager) => manager.restore()],
  ['verify', (manager) => manager.verify()],
  ['reserve', (manager) => manager.reserve(1000)],
  [
    'list',
    async (manager) => {
      for await (const _ of manager.list());
    },
  ],
  ['onPreemption', async (manager) => manager.onPreemption().dispose()],
];

describe.each(ENGINES)('a failure that nobody listens to, %s engine', (engine) => {
  test.each(CALLS)('is thrown once by the next call: %s', async (_, call) => {
    const manager = await openManager(freshDirectory(), { engine });
    const good = await manager.save(smallRequest(1));
    await failing(manager, 2);
    expect([checkpoints(manager.directory), leftovers(manager.directory)]).toEqual([[good.name], []]);
    const error = await rejection(call(manager), 'ERR_SAVE_FAILED');
    expect(error.message).toContain('step 2');
    expect(error.message).toContain('source 2 broke');
    expect(error.cause).toMatchObject({ code: 'ERR_SOURCE', tensors: ['held'] });
    expect(checkpoints(manager.directory)).toEqual([good.name]);
    await call(manager);
    await manager.close();
  });

  test('is thrown by close, all of them at once, and the directory is given up', async () => {
    const directory = freshDirectory();
    const manager = await CheckpointManager.open(directory, { engine });
    await failing(manager, 1);
    const error = await rejection(manager.close(), 'ERR_SAVE_FAILED');
    expect(error.cause).toMatchObject({ code: 'ERR_SOURCE' });
    const again = await CheckpointManager.open(directory, { engine });
    const held = [new HeldStream(), new HeldStream(), new HeldStream()];
    for (const [i, stream] of held.entries()) {
      stream.fail(new Error(`source ${i} broke`));
      void again.saveAsync(heldRequest(i, stream));
    }
    const all = await rejection(again.close(), 'ERR_SAVE_FAILED');
    expect(all.message).toContain('steps 0, 1, 2');
    expect((all.cause as AggregateError).errors.map(({ message }: Error) => message)).toEqual(
      [0, 1, 2].map((i) => expect.stringContaining(`source ${i} broke`)),
    );
    await again.close();
    expect(readdirSync(directory)).toEqual([]);
  });

  test('several: each is thrown, oldest first', async () => {
    const manager = await openManager(freshDirectory(), { engine });
    const stream = new HeldStream();
    await manager.saveAsync(heldRequest(1, stream));
    for (const step of [2, 3]) {
      const broken = new HeldStream();
      broken.fail(new Error(`source ${step} broke`));
      void manager.saveAsync(heldRequest(step, broken));
    }
    stream.open();
    await until(() => manager.counts.failed === 2);
    expect((await rejection(manager.flush(), 'ERR_SAVE_FAILED')).message).toContain('source 2 broke');
    expect((await rejection(manager.save(smallRequest(4)), 'ERR_SAVE_FAILED')).message).toContain('source 3 broke');
    await manager.flush();
  });

  test('of one manager is not thrown by another', async () => {
    const directory = freshDirectory();
    const [one, two] = [await openManager(directory, { engine }), await openManager(directory, { engine })];
    await failing(one, 1);
    await two.flush();
    await two.save(smallRequest(2));
    await rejection(one.flush(), 'ERR_SAVE_FAILED');
  });

  test('although somebody subscribed to the diagnostics channel', async () => {
    const manager = await openManager(freshDirectory(), { engine });
    const seen: unknown[] = [];
    const listener = (event: unknown) => seen.push(event);
    subscribe('holdfast:saveFailed', listener);
    await failing(manager, 1);
    unsubscribe('holdfast:saveFailed', listener);
    expect(seen).toMatchObject([{ directory: manager.directory, step: 1, error: { code: 'ERR_SOURCE' } }]);
    await rejection(manager.flush(), 'ERR_SAVE_FAILED');
  });
});

describe.each(ENGINES)('a failure that somebody hears of is not thrown, %s engine', (engine) => {
  test.each([
    ['who read committed before', true],
    ['who read committed after', false],
  ])('%s', async (_, before) => {
    const manager = await openManager(freshDirectory(), { engine });
    const stream = new HeldStream();
    const pending = await manager.saveAsync(heldRequest(1, stream));
    await stream.asked;
    if (before) void pending.committed;
    stream.fail(new Error('the source broke'));
    await until(() => manager.counts.failed === 1);
    if (!before) await rejection(pending.committed, 'ERR_SOURCE');
    for (const [, call] of CALLS) await call(manager);
    await manager.close();
  });

  test('who listens to saveFailed', async () => {
    const manager = await openManager(freshDirectory(), { engine });
    const events: unknown[] = [];
    const listener = (event: unknown) => events.push(event);
    manager.on('saveFailed', listener);
    const stream = new HeldStream();
    stream.fail(new Error('the source broke'));
    const pending = await manager.saveAsync({ ...heldRequest(1, stream), epoch: 3 });
    await manager.flush();
    const error = await rejection(pending.committed, 'ERR_SOURCE');
    expect(events).toEqual([{ directory: manager.directory, step: 1, epoch: 3, error }]);
    manager.off('saveFailed', listener);
    await failing(manager, 2);
    expect(events).toHaveLength(1);
    await rejection(manager.flush(), 'ERR_SAVE_FAILED');
  });

  test('of a save(): its own rejection says it', async () => {
    const manager = await openManager(freshDirectory(), { engine });
    const stream = new HeldStream();
    stream.fail(new Error('the source broke'));
    await rejection(manager.save(heldRequest(1, stream)), 'ERR_SOURCE');
    await manager.flush();
    await manager.close();
  });

  test('of one of several', async () => {
    const manager = await openManager(freshDirectory(), { engine });
    const first = await failing(manager, 1);
    const handed = (async () => {
      await manager.saveAsync(smallRequest(2)).catch((error) => expect(error.code).toBe('ERR_SAVE_FAILED'));
    })();
    await handed;
    await failing(manager, 3);
    await rejection(first.committed, 'ERR_SOURCE');
    expect((await rejection(manager.flush(), 'ERR_SAVE_FAILED')).message).toContain('source 3 broke');
  });
});

/** Saves that fail in every way that the background knows, and nobody who listens. */
const DEAF = `
  import { rmSync } from 'node:fs';
  import { CheckpointManager } from 'holdfast';
  const [directory, engine, how] = process.argv.slice(1);
  const manager = await CheckpointManager.open(directory, { engine, maxInFlight: 9, whenBusy: 'replace' });
  const stream = (broken) => ({ byteLength: 8, async *[Symbol.asyncIterator]() { if (broken) throw new Error('the source broke'); yield new Uint8Array(8); } });
  const request = (step, broken) => ({ step, tensors: { x: { dtype: 'U8', shape: [8], data: stream(broken) } } });
  await manager.saveAsync(request(1, false));
  for (const step of [2, 3]) await manager.saveAsync(request(step, true));
  const read = await manager.saveAsync(request(4, true));
  read.committed;
  const cancelled = await manager.saveAsync(request(5, false));
  void cancelled.cancel();
  const stop = new AbortController();
  await manager.saveAsync({ ...request(6, false), signal: stop.signal });
  stop.abort();
  if (how === 'close') await manager.close({ deadlineMs: 30_000 }).catch((error) => console.log(error.code, error.cause.errors.length));
  if (how === 'gone') rmSync(directory, { recursive: true });
`;

test.each(ENGINES.flatMap((engine) => ['end', 'close', 'gone'].map((how) => [engine, how])))(
  'no unhandled rejection, and nothing is lost in silence: %s engine, %s',
  async (engine, how) => {
    const directory = freshDirectory();
    const child = startNode(DEAF, [directory, engine as string, how as string], { NODE_OPTIONS: '--unhandled-rejections=strict' });
    const { code, signal, stdout, stderr } = await ended(child);
    expect([code, signal], stderr).toEqual([0, null]);
    if (how === 'close') expect([stdout.trim(), stderr]).toEqual(['ERR_SAVE_FAILED 2', '']);
    // The process ended without another call: its last words say what failed.
    if (how === 'end') {
      const told = stderr.split('\n').filter((line) => line.includes('nobody listened'));
      expect(told.map((line) => /step (\d)/.exec(line)?.[1])).toEqual(['2', '3']);
      expect(checkpoints(directory)).toEqual(['checkpoint_step00000001']);
    }
    if (how === 'gone') expect(stderr).toMatch(/step 1 failed, and nobody listened: ERR_(LOCK_LOST|NOT_FOUND)/);
    rmSync(directory, { recursive: true, force: true });
  },
);
