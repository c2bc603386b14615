/** Where a save is, and where its time went. */
import { describe, expect, test } from 'vitest';
import type { Progress } from '../../src/engine/progress.js';
import type { SaveResult, SaveSeconds } from '../../src/manager/save.js';
import { keep } from '../../src/policy/keep.js';
import { freshDirectory } from '../helpers/directory.js';
import { ENGINES } from '../helpers/engines.js';
import { openManager, smallRequest } from '../helpers/manager.js';
import { randomBytes } from '../helpers/random.js';
import { HeldStream, heldRequest } from '../helpers/streams.js';

const MIB = 2 ** 20;
const PHASES = ['queue', 'write', 'sync', 'verify', 'commit', 'done'];

/** Rounding of numbers that were added up in another order. */
const EPSILON = 1e-6;

function expectSane({ seconds, bytes, bytesPerSecond }: SaveResult, wallSeconds: number, kind: 'save' | 'saveAsync' = 'saveAsync'): void {
  for (const [name, value] of Object.entries(seconds)) expect(value, name).toBeGreaterThanOrEqual(0);
  const { stall, snapshot, queue, persist, write, sync, verify, commit, total }: SaveSeconds = seconds;
  // `save` writes the first copies while it makes the last ones.
  const inARow = kind === 'save' ? queue + persist + commit : snapshot + queue + persist + commit;
  expect(inARow).toBeLessThanOrEqual(total + EPSILON);
  // Two files are written at a time.
  expect(write + sync).toBeLessThanOrEqual(2 * persist + EPSILON);
  expect(verify).toBeLessThanOrEqual(persist + EPSILON);
  expect(snapshot).toBeLessThanOrEqual(stall + EPSILON);
  expect(total).toBeLessThanOrEqual(wallSeconds + EPSILON);
  expect(persist).toBeGreaterThan(0);
  expect(commit).toBeGreaterThan(0);
  expect(bytesPerSecond).toBeCloseTo(bytes / (persist + commit), 0);
}

describe.each(ENGINES)('progress, %s engine', (engine) => {
  test('phases come in their order, bytes rise, and all who ask are told the same', async () => {
    const manager = await openManager(freshDirectory(), { engine, verifyWrites: true });
    const data = randomBytes(24 * MIB, 3);
    const [asked, listened]: [Progress[], Progress[]] = [[], []];
    manager.on('saveProgress', ({ step, progress }) => {
      expect(step).toBe(1);
      listened.push(progress);
      // What is told is where it is.
      expect(pending?.progress ?? progress).toEqual(progress);
    });
    const started = performance.now();
    const pending = await manager.saveAsync({
      step: 1,
      tensors: { x: { dtype: 'U8', shape: [data.length], data } },
      onProgress: (progress) => asked.push(progress),
    });
    const first = pending.progress;
    const result = await pending.committed;
    expect(listened).toEqual(asked);
    const phases = [first, ...asked].map(({ phase }) => PHASES.indexOf(phase));
    expect(phases).toEqual([...phases].sort((a, b) => a - b));
    expect(new Set(phases)).toEqual(new Set([0, 1, 2, 3, 4, 5]));
    for (const phase of PHASES) {
      const bytes = asked.filter((progress) => progress.phase === phase).map((progress) => progress.bytes);
      expect(bytes, phase).toEqual([...bytes].sort((a, b) => a - b));
      for (const value of bytes) expect(value).toBeLessThanOrEqual(result?.bytes as number);
    }
    for (const { totalBytes } of asked) expect(totalBytes).toBe(result?.bytes);
    expect(asked.at(-1)).toMatchObject({ phase: 'done', bytes: result?.bytes });
    expectSane(result as SaveResult, (performance.now() - started) / 1000);
    expect(result?.seconds.verify).toBeGreaterThan(0);
    expect(result?.seconds.stall).toBeCloseTo(pending.stallMs / 1000, 6);
  });

  test('a save that waits stands at "queue"; its figures say how long it waited', async () => {
    const manager = await openManager(freshDirectory(), { engine, maxInFlight: 2, keep: keep.all() });
    const stream = new HeldStream();
    const first = await manager.saveAsync(heldRequest(1, stream));
    const second = await manager.saveAsync(smallRequest(2));
    await stream.asked;
    await new Promise((resolve) => setTimeout(resolve, 80));
    expect(first.progress.phase).toBe('write');
    expect(second.progress).toMatchObject({ phase: 'queue', bytes: 0 });
    stream.open();
    const [one, two] = [await first.committed, await second.committed];
    expect(two?.seconds.queue).toBeGreaterThan(0.07);
    expect(two?.seconds.stall).toBeLessThan(two?.seconds.queue as number);
    expect(one?.seconds.persist).toBeGreaterThan(0.07);
    expect(one?.seconds.total).toBeGreaterThan(0.07);
  });

  test('of many shapes: figures are sane, of save and saveAsync', async () => {
    const manager = await openManager(freshDirectory(), { engine, maxShardBytes: 100_000, maxInFlight: 3 });
    const started = performance.now();
    const elements = [0, 1, 1000, 60_000, 200_000];
    const saves = elements.map((count, step) => {
      const tensors = Object.fromEntries(
        [0, 1, 2].map((i) => [`t${i}`, { dtype: 'U8' as const, shape: [count], data: randomBytes(count, i) }]),
      );
      const request = { step, tensors, optimizer: tensors, state: { step } };
      return step % 2 === 0 ? manager.save(request) : manager.saveAsync(request).then(({ committed }) => committed);
    });
    for (const [step, result] of (await Promise.all(saves)).entries()) {
      expectSane(result as SaveResult, (performance.now() - started) / 1000, step % 2 === 0 ? 'save' : 'saveAsync');
    }
  });

  test('started counts from the caller’s own capture', async () => {
    const manager = await openManager(freshDirectory(), { engine });
    const started = performance.now() - 300;
    const pending = await manager.saveAsync({ ...smallRequest(1), started });
    expect(pending.stallMs).toBeGreaterThanOrEqual(300);
    const result = await pending.committed;
    expect(result?.seconds.snapshot).toBeGreaterThanOrEqual(0.3);
    expect(result?.seconds.total).toBeGreaterThanOrEqual(0.3);
    expect(result?.seconds.persist).toBeLessThanOrEqual((result?.seconds.total as number) - 0.3);
  });
});
