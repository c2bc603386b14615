/** Being told to end: what is in flight is finished, a last save is made if it fits, and the process ends as the signal says. */
import { describe, expect, test } from 'vitest';
import { CheckpointManager } from '../../src/manager/manager.js';
import { ENGINES } from '../helpers/engines.js';
import { preempt } from '../helpers/preempted.js';

const NAME = (step: number) => `checkpoint_step${String(step).padStart(8, '0')}`;
/** Of what has to be taken back, for which a quarter of it is kept. */
const DEADLINE_MS = 1200;
/** Of what cannot be. */
const SHORT_MS = 600;

async function expectGood(directory: string, step: number): Promise<void> {
  const manager = await CheckpointManager.open(directory, { readOnly: true });
  expect((await manager.verify()).problems).toEqual([]);
  expect((await manager.restore())?.info.step).toBe(step);
}

test('idle, and nobody who could save: the process ends by the signal, and says why', async () => {
  const ran = await preempt(`
    manager.onPreemption();
    say('ready');
  `);
  expect([ran.signal, ran.code]).toEqual(['SIGTERM', null]);
  expect(ran.log).toEqual([
    'holdfast: SIGTERM: nothing is in flight, no last save, because no function for a last save was given.',
    'holdfast: SIGTERM: done.',
  ]);
  expect(ran.events).toEqual([
    {
      choice: 'exit',
      reason: 'no function for a last save was given',
      expectedSeconds: 0,
      directory: expect.stringContaining('holdfast-test'),
      signal: 'SIGTERM',
      deadlineMs: 25_000,
      savesInFlight: 0,
    },
  ]);
});

describe.each(ENGINES)('with the %s engine', (engine) => {
  test('a save in flight is finished, then a last one is made', async () => {
    const ran = await preempt(
      `
      await manager.save(request(1));
      manager.onPreemption({ save: () => manager.save(request(3)) });
      await manager.saveAsync(slow(2, 300));
      say('ready');
    `,
      { engine },
    );
    expect(ran.signal).toBe('SIGTERM');
    expect(ran.checkpoints).toEqual([NAME(1), NAME(2), NAME(3)]);
    expect(ran.log[0]).toMatch(
      /finishing 1 save in flight, then a last save, because .* expected .* times 1.5 for safety, fit into 24.5 s/,
    );
    expect(ran.log[1]).toBe(`holdfast: SIGTERM: done, the newest checkpoint is ${NAME(3)}.`);
    expect(ran.events).toMatchObject([{ choice: 'save', savesInFlight: 1, deadlineMs: 25_000 }]);
    await expectGood(ran.directory, 3);
  });

  test('a stuck save is taken back at the deadline: nothing torn, nothing left', async () => {
    const ran = await preempt(
      `
      await manager.save(request(1));
      manager.onPreemption({ deadlineMs: ${DEADLINE_MS} });
      await manager.saveAsync(slow(2));
      await manager.saveAsync(request(3));
      say('ready');
    `,
      { engine },
    );
    expect(ran.signal).toBe('SIGTERM');
    expect([ran.checkpoints, ran.leftovers]).toEqual([[NAME(1)], []]);
    expect(ran.log[1]).toBe(`holdfast: SIGTERM: the deadline of ${DEADLINE_MS} ms came first; given up: step 2, 3.`);
    expect(ran.events).toMatchObject([{ choice: 'finish', savesInFlight: 2 }]);
    await expectGood(ran.directory, 1);
  });
});

test('a last save that does not fit is not begun', async () => {
  const ran = await preempt(`
    await manager.save(slow(1, 600));
    manager.onPreemption({ deadlineMs: 800, save: () => say('begun') });
    say('ready');
  `);
  expect([ran.signal, ran.said, ran.checkpoints]).toEqual(['SIGTERM', [], [NAME(1)]]);
  expect(ran.log[0]).toMatch(
    /no last save, because 0\.\d s expected \(.* bytes in the newest save\), times 1.5 for safety, do not fit into 0\.6 s\.$/,
  );
  expect(ran.log[1]).toContain(`done, the newest checkpoint is ${NAME(1)}.`);
  expect(ran.events).toMatchObject([{ choice: 'exit', expectedSeconds: 0 }]);
});

test('before anything was measured a last save is tried', async () => {
  const ran = await preempt(`
    manager.onPreemption({ save: () => manager.save(request(1)) });
    say('ready');
  `);
  expect([ran.signal, ran.checkpoints]).toEqual(['SIGTERM', [NAME(1)]]);
  expect(ran.log[0]).toContain('no save has been measured yet');
  expect(ran.events).toMatchObject([{ choice: 'save', expectedSeconds: null }]);
});

test('a short deadline leaves time for a short save', async () => {
  const ran = await preempt(`
    await manager.save(request(1));
    manager.onPreemption({ deadlineMs: 450, save: () => manager.save(request(2)) });
    say('ready');
  `);
  expect([ran.signal, ran.checkpoints]).toEqual(['SIGTERM', [NAME(1), NAME(2)]]);
});

test('a last save by saveAsync is waited for', async () => {
  const ran = await preempt(`
    manager.onPreemption({ save: () => manager.saveAsync(slow(1, 200)) });
    say('ready');
  `);
  expect([ran.signal, ran.checkpoints]).toEqual(['SIGTERM', [NAME(1)]]);
});

test.each([
  ['throws', `() => { throw new Error('my bug'); }`, 'the last save failed: my bug'],
  ['throws what has no text', `() => { throw Object.create(null); }`, 'the last save failed: something that has no text'],
  ['rejects', `async () => { await later(1); throw new Error('my bug'); }`, 'the last save failed: my bug'],
  ['fails', `() => manager.saveAsync({ ...request(2), step: -1 })`, 'the last save failed: step must be a whole number'],
])('a last save that %s', async (_, save, line) => {
  const ran = await preempt(`
    await manager.save(request(1));
    manager.onPreemption({ save: ${save} });
    say('ready');
  `);
  expect([ran.signal, ran.checkpoints, ran.leftovers]).toEqual(['SIGTERM', [NAME(1)], []]);
  expect(ran.log[1]).toContain(line);
});

test('a last save that hangs, with nothing else to do, is ended by the deadline and the signal', async () => {
  const ran = await preempt(
    `
    clearInterval(stays);
    manager.onPreemption({ deadlineMs: ${SHORT_MS}, save: () => new Promise(() => {}) });
    say('ready');
    process.kill(process.pid, 'SIGTERM');
    await later(100);
  `,
    { signals: [] },
  );
  expect([ran.signal, ran.code]).toEqual(['SIGTERM', null]);
  expect(ran.log[1]).toContain(`the deadline of ${SHORT_MS} ms came first; given up: nothing.`);
});

test('a last save that is stuck half-way leaves no torn checkpoint', async () => {
  const ran = await preempt(`
    await manager.save(request(1));
    manager.onPreemption({ deadlineMs: ${DEADLINE_MS}, save: () => manager.save(slow(2)) });
    say('ready');
  `);
  expect([ran.signal, ran.checkpoints, ran.leftovers]).toEqual(['SIGTERM', [NAME(1)], []]);
  expect(ran.log[1]).toContain('given up: step 2.');
  await expectGood(ran.directory, 1);
});

test('a disk that does not even let go does not keep the process', async () => {
  const ran = await preempt(`
    await manager.save(request(1));
    manager.onPreemption({ deadlineMs: ${SHORT_MS} });
    await manager.saveAsync(slow(2));
    // As it looks from outside when the operating system does not come back.
    manager.saver.giveUp = () => new Promise(() => {});
    manager.interval.preempted = () => new Promise(() => {});
    say('ready');
  `);
  expect([ran.signal, ran.checkpoints]).toEqual(['SIGTERM', [NAME(1)]]);
  expect(ran.log[1]).toContain('could not be taken back in time');
});

test('what failed in the background is told, and does not cost the last save', async () => {
  const ran = await preempt(`
    const broken = (step, ms) => {
      const { tensors } = slow(step, 0);
      tensors.x.data = { byteLength: 8, async *[Symbol.asyncIterator]() { await later(ms); throw new Error('source ' + step); } };
      return { step, tensors };
    };
    await manager.saveAsync(broken(1, 0));
    await manager.saveAsync(broken(2, 60));
    manager.onPreemption({ save: () => manager.save(request(3)) });
    say('ready');
  `);
  expect([ran.signal, ran.checkpoints]).toEqual(['SIGTERM', [NAME(3)]]);
  const failed = ran.log.filter((line) => line.includes('had failed'));
  expect(failed.join()).toMatch(/step 2 had failed: ERR_SOURCE: .*source 2/);
  expect(ran.log.at(-1)).toContain(`done, the newest checkpoint is ${NAME(3)}.`);
});

test('listeners and log that throw and reject cost nothing', async () => {
  const ran = await preempt(`
    for (const worst of [() => { throw Object.create(null); }, async () => { throw new Error('rejected'); }]) {
      manager.on('preempted', worst);
      manager.onPreemption({ log: worst, save: () => manager.save(request(1)) });
    }
    say('ready');
  `);
  expect([ran.signal, ran.checkpoints.length]).toEqual(['SIGTERM', 2]);
  expect(ran.log.join('\n')).toContain('log of onPreemption threw');
});
