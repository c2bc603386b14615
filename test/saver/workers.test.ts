/** The threads that write: killed at any moment they cost their own save only, and they keep no process alive. */
import { MessagePort } from 'node:worker_threads';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { Progress } from '../../src/engine/progress.js';
import { CheckpointManager } from '../../src/manager/manager.js';
import type { PendingSave } from '../../src/manager/saver.js';
import { keep } from '../../src/policy/keep.js';
import type { SaveJob } from '../../src/saver/job.js';
import { runInWorker, startWorkers, workersOf } from '../../src/saver/pool.js';
import { ended, startNode } from '../helpers/child.js';
import { freshDirectory } from '../helpers/directory.js';
import { ENGINES } from '../helpers/engines.js';
import { rejection } from '../helpers/errors.js';
import { checkpoints, leftovers, nativeStats, until } from '../helpers/leftovers.js';
import { openManager, smallRequest } from '../helpers/manager.js';
import { random32, randomBytes } from '../helpers/random.js';
import { HeldStream, heldRequest } from '../helpers/streams.js';

/** A promise must reject within a second of the death; tests are patient with busy machines. */
const PATIENCE_MS = 5000;
const MIB = 2 ** 20;

function killWorkers(): Promise<unknown> {
  return Promise.all(workersOf(0).map((worker) => worker.terminate()));
}

/** Waits for the save to be rejected, and says how long that took. */
async function diesQuickly(pending: PendingSave, since: number): Promise<string> {
  const error = await rejection(pending.committed, 'ERR_WORKER');
  const ms = performance.now() - since;
  expect(ms).toBeLessThan(PATIENCE_MS);
  expect(error.message).toContain('worker');
  return `rejected after ${ms.toFixed(1)} ms`;
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe.each(ENGINES)('a worker that is killed, %s engine', (engine) => {
  test('in the middle of a save: the save says so, leaves nothing, and the next one works', async () => {
    const directory = freshDirectory();
    const manager = await openManager(directory, { engine, maxInFlight: 2 });
    // Of several workers, one that is about to be killed could be given the second save.
    await Promise.all(
      workersOf(0)
        .slice(1)
        .map((spare) => spare.terminate()),
    );
    const first = await manager.save(smallRequest(1));
    const before = nativeStats();
    const stream = new HeldStream();
    const data = new Uint8Array(MIB);
    const pending = await manager.saveAsync(heldRequest(2, stream, [{ name: 'pinned', dtype: 'U8', shape: [MIB], data, stable: true }]));
    const behind = await manager.saveAsync(smallRequest(3));
    await stream.asked;
    const killed = performance.now();
    void killWorkers();
    console.log(`${engine}: ${await diesQuickly(pending, killed)}`);
    expect(stream.released).toBe(1);
    expect((await behind.committed)?.sequence).toBe(2);
    expect([checkpoints(directory), leftovers(directory)]).toEqual([[first.name, 'checkpoint_step00000003_loss0.2500'], []]);
    await until(() => nativeStats().writers === 0 && nativeStats().abortTokens === before.abortTokens);
    expect(nativeStats().pins).toBe(before.pins);
    expect(manager.counts).toMatchObject({ committed: 2, failed: 1 });
    expect((await manager.verify()).problems).toEqual([]);
  });

  test('before it has begun, and while it is idle', async () => {
    const manager = await openManager(freshDirectory(), { engine });
    await manager.save(smallRequest(1));
    await killWorkers();
    expect((await manager.save(smallRequest(2))).sequence).toBe(2);
    for (let step = 3; step < 6; step++) {
      const pending = await manager.saveAsync(smallRequest(step));
      const killed = performance.now();
      void killWorkers();
      // It may have been a worker that had nothing to do with it.
      const outcome = await pending.committed.catch((error) => error.code);
      expect(performance.now() - killed).toBeLessThan(PATIENCE_MS);
      if (typeof outcome === 'string') expect(outcome).toBe('ERR_WORKER');
      expect(leftovers(manager.directory)).toEqual([]);
    }
    await manager.save(smallRequest(9));
    expect((await manager.verify()).problems).toEqual([]);
  });

  test('at random moments: what was acknowledged is there, what was rejected is not', { timeout: 120_000 }, async () => {
    const directory = freshDirectory();
    const manager = await openManager(directory, { engine, keep: keep.all(), verifyWrites: true });
    const next = random32(Number(process.env['HOLDFAST_SEED'] ?? Date.now()));
    const data = randomBytes(MIB, 9);
    const outcomes: Record<string, number> = {};
    const committed: (number | null)[] = [];
    const warming = await openManager(freshDirectory(), { engine });
    for (let step = 1; step <= 15; step++) {
      // A worker that has only just been started would be killed before it has begun.
      await warming.save(smallRequest(step));
      const tensors = { x: { dtype: 'U8' as const, shape: [data.length], data, stable: step % 2 === 0 } };
      const pending = await manager.saveAsync({ step, tensors, state: { step } });
      let kill: Promise<unknown> | undefined;
      const timer = setTimeout(() => {
        kill = killWorkers();
      }, next() % 25);
      const outcome = await pending.committed.then(
        () => 'committed',
        (error) => error.code,
      );
      clearTimeout(timer);
      await kill;
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
      if (outcome === 'committed') committed.push(step);
      expect(['committed', 'ERR_WORKER']).toContain(outcome);
      expect(leftovers(directory)).toEqual([]);
    }
    const steps: (number | null)[] = [];
    for await (const { step } of manager.list()) steps.push(step);
    expect(steps).toEqual(committed);
    expect((await manager.verify()).problems).toEqual([]);
    console.log(`${engine}: ${JSON.stringify(outcomes)}`);
    expect(outcomes['ERR_WORKER']).toBeGreaterThan(0);
  });

  test.each([
    ['copied memory: the worker publishes by itself', false],
    ['memory of the caller’s: the worker is told to publish', true],
  ])('while it publishes, %s: the checkpoint is there if and only if the save says so', { timeout: 120_000 }, async (_, stable) => {
    const directory = freshDirectory();
    const manager = await openManager(directory, { engine, keep: keep.all() });
    const next = random32(Number(process.env['HOLDFAST_SEED'] ?? Date.now()));
    // Publishing takes less than a millisecond, which is what timers count in.
    const kill = () => {
      const until = performance.now() + (next() % (stable ? 1200 : 4000)) / 1000;
      while (performance.now() < until);
      kills.push(killWorkers());
    };
    const kills: Promise<unknown>[] = [];
    const post = MessagePort.prototype.postMessage;
    const spy = vi.spyOn(MessagePort.prototype, 'postMessage').mockImplementation(function (this: MessagePort, ...args) {
      post.apply(this, args as never);
      if ((args[0] as { type?: unknown } | undefined)?.type === 'publish') kill();
    });
    const outcomes: Record<string, number> = {};
    const committed: (number | null)[] = [];
    for (let step = 1; step <= 25; step++) {
      const tensors = { x: { dtype: 'U8' as const, shape: [1000], data: new Uint8Array(1000).fill(step), stable } };
      const onProgress = ({ phase }: Progress) => {
        if (!stable && phase === 'commit') kill();
      };
      const outcome = await manager.save({ step, tensors, onProgress }).then(
        ({ warnings }) => (warnings.length > 0 ? 'committed, then died' : 'committed'),
        (error) => error.code,
      );
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
      if (outcome !== 'ERR_WORKER') committed.push(step);
      expect(['committed', 'committed, then died', 'ERR_WORKER']).toContain(outcome);
      expect(leftovers(directory)).toEqual([]);
    }
    spy.mockRestore();
    await Promise.all(kills);
    // Links and registry that a death left undone are made up for by the next save.
    const last = await manager.save({ ...smallRequest(99), metrics: {} });
    expect(last.warnings).toEqual([]);
    const steps: (number | null)[] = [];
    for await (const { step } of manager.list()) steps.push(step);
    expect(steps).toEqual([...committed, 99]);
    expect((await manager.verify()).problems).toEqual([]);
    expect((await manager.restore())?.info.step).toBe(99);
    console.log(`${engine}, ${stable ? 'pinned' : 'copied'}: ${JSON.stringify(outcomes)}`);
    expect(outcomes['ERR_WORKER']).toBeGreaterThan(0);
  });

  test('right after the commit: the save is acknowledged, with a warning', async () => {
    const directory = freshDirectory();
    const manager = await openManager(directory, { engine, keep: keep.last(1) });
    await manager.save({ ...smallRequest(1), metrics: {} });
    const stream = new HeldStream();
    stream.open();
    let kill: Promise<unknown> | undefined;
    const pending = await manager.saveAsync({
      ...heldRequest(2, stream),
      onProgress: ({ phase }) => {
        if (phase === 'done') kill ??= killWorkers();
      },
    });
    const result = await pending.committed;
    await kill;
    expect(stream.released).toBe(1);
    expect(checkpoints(directory)).toContain(result?.name);
    expect((await manager.restore())?.info.step).toBe(2);
    if (result?.warnings.length === 0) return;
    expect(result?.warnings).toEqual([expect.stringContaining('died right after the commit')]);
    expect(result).toMatchObject({ sequence: 2, removed: [], bytesPerSecond: 0 });
    // The next save goes on from there.
    const next = await manager.save({ ...smallRequest(3), metrics: {} });
    expect(next.sequence).toBe(3);
    // The worker may have come to the first one before it died; it could not say so any more.
    expect(next.removed).toContain(result?.name);
    await manager.flush();
    expect([checkpoints(directory), leftovers(directory)]).toEqual([[next.name], []]);
  });

  test('saves of other directories, in other workers, go on', async () => {
    const managers = await Promise.all([1, 2, 3, 4, 5].map(() => openManager(freshDirectory(), { engine })));
    const streams = managers.map(() => new HeldStream());
    const pendings = await Promise.all(managers.map((manager, i) => manager.saveAsync(heldRequest(i, streams[i] as HeldStream))));
    // Four are written at a time; the fifth waits for a worker.
    await until(() => streams.filter(({ read }) => read > 0).length === 4);
    expect(workersOf(0)).toHaveLength(4);
    await workersOf(0)[1]?.terminate();
    await until(() => managers.some(({ counts }) => counts.failed === 1));
    for (const stream of streams) stream.open();
    const outcomes = await Promise.all(
      pendings.map(({ committed }) =>
        committed.then(
          () => 'committed',
          (error) => error.code,
        ),
      ),
    );
    expect(outcomes.sort()).toEqual(['ERR_WORKER', 'committed', 'committed', 'committed', 'committed']);
    for (const manager of managers) expect((await manager.save(smallRequest(9))).sequence).toBeGreaterThan(0);
  });
});

test('workers that die while they start: the save that waits for them says so, and the next one gets a new worker', async () => {
  const nice = 10;
  await startWorkers(nice);
  const [first] = workersOf(nice);
  const waiting = new Promise((_, reject) => {
    // The pool has just begun to start another. Within this call none can tell that it is ready, so none is given the job.
    first?.once('exit', () => {
      runInWorker({ nice } as SaveJob, []).catch(reject);
      for (const worker of workersOf(nice)) void worker.terminate();
    });
  });
  void first?.terminate();
  await rejection(waiting, 'ERR_WORKER');
  const manager = await openManager(freshDirectory(), { priority: 'low' });
  expect((await manager.save(smallRequest(1))).sequence).toBe(1);
});

test('a priority has workers of its own', async () => {
  const low = await openManager(freshDirectory(), { priority: 'low' });
  await low.save(smallRequest(1));
  const normal = await openManager(freshDirectory());
  await normal.save(smallRequest(1));
  expect(workersOf(10).length).toBeGreaterThan(0);
  for (const worker of workersOf(10)) expect(workersOf(0)).not.toContain(worker);
});

/** Ends by itself: nothing but what the library holds could keep it. */
const NATURAL = `
import { CheckpointManager } from 'holdfast';
  const [directory, engine, how] = process.argv.slice(1);
  const manager = await CheckpointManager.open(directory, { engine, maxInFlight: 5 });
  const request = (step, elements) => ({ step, tensors: { x: { dtype: 'U8', shape: [elements], data: new Uint8Array(elements).fill(step) } } });
  if (how === 'idle') await manager.save(request(1, 1000));
  else for (let step = 1; step <= 3; step++) await manager.saveAsync(request(step, 8 << 20));
  console.log('the script is done');
`;

test.each(ENGINES.flatMap((engine) => ['idle', 'in flight'].map((how) => [engine, how] as const)))(
  'a process ends by itself, and not before what is in flight is durable: %s engine, %s',
  async (engine, how) => {
    const directory = freshDirectory();
    const started = performance.now();
    const { code, stdout, stderr } = await ended(startNode(NATURAL, [directory, engine, how]));
    expect([code, stdout.trim(), stderr]).toEqual([0, 'the script is done', '']);
    // An idle worker is kept for a minute.
    expect(performance.now() - started).toBeLessThan(30_000);
    const manager = await CheckpointManager.open(directory, { engine });
    expect((await manager.verify()).problems).toEqual([]);
    expect(checkpoints(directory)).toHaveLength(how === 'idle' ? 1 : 3);
    const data = (await manager.restore())?.tensors.get('x')?.data as Uint8Array;
    expect(data.every((value) => value === (how === 'idle' ? 1 : 3))).toBe(true);
    await manager.close();
  },
);
