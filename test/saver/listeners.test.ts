/** Events: each is told once, to every listener, also on `node:diagnostics_channel`; and no listener can do harm. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { describe, expect, test } from 'vitest';
import type { ManagerEvents } from '../../src/manager/events.js';
import { Events } from '../../src/saver/events.js';
import { ended, startNode } from '../helpers/child.js';
import { freshDirectory } from '../helpers/directory.js';
import { ENGINES } from '../helpers/engines.js';
import { checkpoints } from '../helpers/leftovers.js';
import { openManager, smallRequest } from '../helpers/manager.js';
import { HeldStream, heldRequest } from '../helpers/streams.js';

const NAMES = ['saveAccepted', 'saveSkipped', 'saveReplaced', 'saveCancelled', 'saveProgress', 'saveCommitted', 'saveFailed'] as const;

describe.each(ENGINES)('events, %s engine', (engine) => {
  test('one of each kind, and the same on the diagnostics channel', async () => {
    const manager = await openManager(freshDirectory(), { engine });
    const told: [string, unknown][] = [];
    const published: [string, unknown][] = [];
    const subscribers = NAMES.map((name) => {
      manager.on(name, (event) => told.push([name, event]));
      const listener = (event: unknown) => published.push([name, event]);
      subscribe(`holdfast:${name}`, listener);
      return () => unsubscribe(`holdfast:${name}`, listener);
    });
    const stream = new HeldStream();
    const first = await manager.saveAsync({ ...heldRequest(1, stream), epoch: 7 });
    await manager.saveAsync({ ...smallRequest(2), whenBusy: 'skip' });
    await manager.saveAsync({ ...smallRequest(3), whenBusy: 'replace' });
    await manager.saveAsync({ ...smallRequest(4), whenBusy: 'replace' });
    const broken = new HeldStream();
    broken.fail(new Error('the source broke'));
    const cancelled = manager.saveAsync({ ...smallRequest(5), whenBusy: 'wait' });
    const failed = manager.saveAsync({ ...heldRequest(6, broken), whenBusy: 'wait' });
    stream.open();
    const result = await first.committed;
    await (await cancelled).cancel();
    await failed;
    await manager.flush();
    for (const unsubscribeOne of subscribers) unsubscribeOne();
    expect(published).toEqual(told);
    const of = (name: string) => told.filter(([each]) => each === name).map(([, event]) => event as ManagerEvents['saveProgress']);
    const { directory } = manager;
    const steps = (name: string) => of(name).map(({ step }) => step);
    expect(steps('saveAccepted').slice(0, 3)).toEqual([1, 3, 4]);
    expect(steps('saveSkipped')).toEqual([2]);
    expect(steps('saveReplaced')).toEqual([3]);
    expect(steps('saveFailed')).toEqual([6]);
    // Whether the cancelling came in time depends on the disk; it is one or the other.
    expect([...steps('saveCancelled'), ...steps('saveCommitted')].sort()).toEqual([1, 4, 5]);
    expect(of('saveAccepted')[0]).toEqual({
      directory,
      step: 1,
      epoch: 7,
      bytes: first.progress.totalBytes,
      stallMs: first.stallMs,
      inFlight: 1,
    });
    expect(of('saveCommitted')[0]).toEqual({ directory, step: 1, epoch: 7, result });
    expect((of('saveCommitted')[0] as unknown as { result: unknown }).result).toBe(result);
    // The order of one save: accepted, progress, committed.
    const kinds = told.filter(([, event]) => (event as { step: number }).step === 1).map(([name]) => name);
    expect([kinds[0], kinds.at(-1)]).toEqual(['saveAccepted', 'saveCommitted']);
    expect(new Set(kinds.slice(1, -1))).toEqual(new Set(['saveProgress']));
  });

  test('once, off, and the same listener twice', async () => {
    const manager = await openManager(freshDirectory(), { engine });
    const calls: string[] = [];
    const listener = () => calls.push('listener');
    manager
      .once('saveCommitted', () => calls.push('once'))
      .on('saveCommitted', listener)
      .on('saveCommitted', listener);
    await manager.save(smallRequest(1));
    expect(calls.sort()).toEqual(['listener', 'listener', 'once']);
    manager.off('saveCommitted', listener).off('saveCommitted', () => {});
    await manager.save(smallRequest(2));
    expect(calls).toHaveLength(4);
    manager.off('saveCommitted', listener);
    await manager.save(smallRequest(3));
    expect(calls).toHaveLength(4);
  });
});

test('many listeners are no leak: nothing is warned of', async () => {
  const events = new Events<{ some: number }>();
  const warnings: unknown[] = [];
  const listener = (warning: unknown) => warnings.push(warning);
  process.on('warning', listener);
  let heard = 0;
  for (let i = 0; i < 50; i++) events.on('some', () => heard++);
  expect(events.emit('some', 1)).toBe(true);
  expect(new Events<{ some: number }>().emit('some', 1)).toBe(false);
  await new Promise((resolve) => setImmediate(resolve));
  process.off('warning', listener);
  expect([heard, warnings]).toEqual([50, []]);
});

/** Listeners of every kind, each doing its worst, at every event. */
const HARM = `
  import { CheckpointManager } from 'holdfast';
  const [directory, engine] = process.argv.slice(1);
  const manager = await CheckpointManager.open(directory, { engine });
  const worst = [
    () => { throw new Error('thrown'); },
    () => { throw null; },
    () => { throw undefined; },
    () => { throw Object.create(null); },
    () => { throw { get message() { throw new Error('even this'); } }; },
    async () => { throw new Error('rejected'); },
    async () => { throw Object.create(null); },
    () => ({ then(_, reject) { reject(new Error('a thenable')); } }),
    () => ({ get then() { throw new Error('no thenable'); } }),
  ];
  const names = ['saveAccepted', 'saveSkipped', 'saveReplaced', 'saveCancelled', 'saveProgress', 'saveCommitted', 'saveFailed'];
  for (const name of names) for (const listener of worst) manager.on(name, listener);
  const data = (broken) => ({ byteLength: 8, async *[Symbol.asyncIterator]() { if (broken) throw Object.create(null); yield new Uint8Array(8); } });
  const request = (step, broken = false) => ({ step, tensors: { x: { dtype: 'U8', shape: [8], data: data(broken) } } });
  for (const [i, onProgress] of worst.entries()) await manager.save({ ...request(i), onProgress });
  const failed = await manager.saveAsync(request(90, true));
  console.log(await failed.committed.catch((error) => error.code));
  const running = await manager.saveAsync(request(91));
  console.log((await manager.saveAsync({ ...request(92), whenBusy: 'skip' })).status);
  const replaced = await manager.saveAsync({ ...request(93), whenBusy: 'replace' });
  await manager.saveAsync({ ...request(94), whenBusy: 'replace' });
  console.log(await replaced.committed.catch((error) => error.code));
  const cancelled = manager.saveAsync(request(95)).then((pending) => pending.cancel());
  await cancelled;
  await manager.flush();
  const { accepted, failed: failures, skipped, replaced: replacements } = manager.counts;
  console.log(accepted, failures, skipped, replacements);
  await manager.close();
`;

test.each(ENGINES)('listeners that throw and reject cost nothing, %s engine', async (engine) => {
  const directory = freshDirectory();
  const { code, signal, stdout, stderr } = await ended(
    startNode(HARM, [directory, engine], { NODE_OPTIONS: '--unhandled-rejections=strict' }),
  );
  expect([code, signal], stderr).toEqual([0, null]);
  expect(stdout.trim().split('\n')).toEqual(['ERR_SOURCE', 'skipped', 'ERR_REPLACED', '14 1 1 1']);
  expect(checkpoints(directory).length).toBeGreaterThan(0);
  // Nobody has to wonder why a listener was not heard.
  for (const name of NAMES.slice(0, 3)) expect(stderr).toContain(`A listener of "${name}" threw`);
  expect(stderr).toContain('onProgress threw');
  for (const what of ['thrown', 'rejected', 'a thenable', 'no thenable', 'something that has no text']) expect(stderr).toContain(what);
});
