/** Whose a signal is: several managers, several signals, other listeners, and giving it back. */
import { spawnSync } from 'node:child_process';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import type { PreemptionOptions } from '../../src/manager/preemption.js';
import { freshDirectory } from '../helpers/directory.js';
import { thrown } from '../helpers/errors.js';
import { checkpoints } from '../helpers/leftovers.js';
import { openManager } from '../helpers/manager.js';
import { preempt } from '../helpers/preempted.js';

test('two managers: both save, and the process ends when both are done', async () => {
  const ran = await preempt(`
    const other = await CheckpointManager.open(directory + '/other', { engine });
    manager.onPreemption({ log: (line) => say('first', line), save: async () => { await later(250); await manager.save(request(1)); } });
    other.onPreemption({ log: (line) => say('second', line), save: () => other.save(request(2)) });
    say('ready');
  `);
  expect(ran.signal).toBe('SIGTERM');
  expect([ran.checkpoints, checkpoints(`${ran.directory}/other`)]).toEqual([['checkpoint_step00000001'], ['checkpoint_step00000002']]);
  const done = ran.said.filter((line) => line.includes('done'));
  expect(done.map((line) => line.split(' ')[0])).toEqual(['second', 'first']);
});

test('the same signal again, and another one, change nothing', async () => {
  const ran = await preempt(
    `
    manager.onPreemption({ signals: ['SIGTERM', 'SIGINT', 'SIGUSR1'], save: async () => { say('called'); await later(400); await manager.save(request(1)); } });
    say('ready');
  `,
    { signals: ['SIGTERM', 'SIGTERM', 'SIGINT', 'SIGUSR1', 'SIGTERM'] },
  );
  // Signals that come at the same time are heard in no particular order.
  expect(['SIGTERM', 'SIGINT', 'SIGUSR1']).toContain(ran.signal);
  expect([ran.said, ran.checkpoints, ran.events.length]).toEqual([['called'], ['checkpoint_step00000001'], 1]);
});

test.each(['SIGINT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const)('%s ends the process as it would have', async (signal) => {
  const ran = await preempt(
    `
    manager.onPreemption({ signals: ['${signal}'], save: () => manager.save(request(1)) });
    say('ready');
  `,
    { signals: [signal] },
  );
  expect([ran.signal, ran.checkpoints]).toEqual([signal, ['checkpoint_step00000001']]);
  expect(ran.log[1]).toContain(`holdfast: ${signal}: done`);
});

test.each([
  ['on', 'before'],
  ['on', 'after'],
  ['once', 'before'],
  ['once', 'after'],
])('another listener (%s, added %s) decides what becomes of the process', async (how, when) => {
  const theirs = `process.${how}('SIGTERM', async () => { await saved; await later(100); say('theirs'); process.exit(7); });`;
  const ran = await preempt(`
    let tell;
    const saved = new Promise((resolve) => { tell = resolve; });
    ${when === 'before' ? theirs : ''}
    manager.onPreemption({ save: () => manager.save(request(1)).finally(tell) });
    ${when === 'after' ? theirs : ''}
    say('ready');
  `);
  expect([ran.signal, ran.code, ran.said, ran.checkpoints]).toEqual([null, 7, ['theirs'], ['checkpoint_step00000001']]);
  expect(ran.log[1]).toContain('done');
});

test('another listener may let the process live: saves go on, and it may be listened to anew', async () => {
  const ran = await preempt(`
    process.on('SIGTERM', () => {});
    manager.onPreemption({ save: () => manager.save(request(1)) });
    say('ready');
    while ((await manager.restore()) === null) await later(20);
    await later(100);
    await manager.save(request(2));
    manager.onPreemption({ save: async () => { await manager.save(request(3)); say('again'); process.exit(5); } });
    process.kill(process.pid, 'SIGTERM');
  `);
  expect([ran.code, ran.said, ran.checkpoints.length]).toEqual([5, ['again'], 3]);
});

test.each([
  ['dispose()', 'handle.dispose(); handle.dispose();'],
  ['Symbol.dispose', 'handle[Symbol.dispose]();'],
  ['close()', 'await manager.close();'],
])('%s gives the default behaviour back', async (_, give) => {
  const ran = await preempt(`
    const handle = manager.onPreemption({ signals: ['SIGTERM', 'SIGINT'], save: () => manager.save(request(1)) });
    ${give}
    say('listeners', process.listenerCount('SIGTERM'), process.listenerCount('SIGINT'));
    say('ready');
  `);
  expect([ran.signal, ran.log, ran.checkpoints, ran.events]).toEqual(['SIGTERM', [], [], []]);
  expect(ran.said).toEqual(['listeners 0 0']);
});

test('of two, only the one that stays is asked', async () => {
  const ran = await preempt(`
    const other = await CheckpointManager.open(directory + '/other', { engine });
    const handle = manager.onPreemption({ save: () => say('must not be called') });
    other.onPreemption({ save: () => other.save(request(2)) });
    handle.dispose();
    say('ready');
  `);
  expect([ran.signal, ran.said, checkpoints(`${ran.directory}/other`)]).toEqual(['SIGTERM', [], ['checkpoint_step00000002']]);
});

test('a manager that is closed by its last save is protected to the end', async () => {
  const ran = await preempt(
    `
    manager.onPreemption({ save: async () => {
      await manager.save(request(1));
      await manager.close();
      process.kill(process.pid, 'SIGTERM');
      await later(300);
      say('to the end');
    } });
    say('ready');
  `,
  );
  expect([ran.signal, ran.said, ran.checkpoints]).toEqual(['SIGTERM', ['to the end'], ['checkpoint_step00000001']]);
});

const canIsolate = spawnSync('unshare', ['--pid', '--fork', '--mount-proc', 'true']).status === 0;
if (!canIsolate) console.warn('The first process of a container is not tried: it needs root, and unshare.');

test.skipIf(!canIsolate)('the first process of a container ends, too, although no signal ends it by itself', async () => {
  const inside = `
    const { CheckpointManager } = await import(${JSON.stringify(new URL('../../dist/index.js', import.meta.url).href)});
    const manager = await CheckpointManager.open(process.argv[1]);
    setInterval(() => {}, 1000);
    manager.onPreemption({ save: () => manager.save({ step: 1, tensors: {} }) });
    process.kill(process.pid, 'SIGTERM');
  `;
  const directory = freshDirectory();
  const node = [process.execPath, '--input-type=module', '-e', inside, '--', directory];
  const { status, stderr } = spawnSync('unshare', ['--pid', '--fork', '--kill-child', '--mount-proc', ...node], {
    encoding: 'utf8',
    timeout: 30_000,
    killSignal: 'SIGKILL',
  });
  expect([status, stderr]).toEqual([128 + 15, expect.stringContaining('done, the newest checkpoint is')]);
  expect(checkpoints(directory)).toEqual(['checkpoint_step00000001']);
});

test('slips of the hand are told at once', async () => {
  const manager = await openManager(freshDirectory());
  const before = process.listenerCount('SIGTERM');
  for (const options of [
    { signals: [] },
    { signals: ['SIGTREM'] },
    { signals: ['SIGTERM', 'SIGKILL'] },
    { signals: ['constructor'] },
    { signals: 'SIGTERM' },
    { deadlineMs: 0 },
    { deadlineMs: 1.5 },
    { deadlineMs: 2 ** 31 },
    { save: 5 },
    { log: 'console' },
  ]) {
    thrown(() => manager.onPreemption(options as unknown as PreemptionOptions), 'ERR_INVALID_ARGUMENT');
  }
  thrown(() => manager.onPreemption({ deadline: 5 } as PreemptionOptions), 'ERR_UNKNOWN_OPTION');
  expect(process.listenerCount('SIGTERM')).toBe(before);
});

test('a worker thread gets no signals, and is told so', async () => {
  const script = `
    const { workerData, parentPort } = require('node:worker_threads');
    import(workerData.library).then(async ({ CheckpointManager }) => {
      const manager = await CheckpointManager.open(workerData.directory);
      try { manager.onPreemption(); } catch (error) { parentPort.postMessage(error.code); }
      await manager.close();
    });
  `;
  const library = new URL('../../dist/index.js', import.meta.url).href;
  const worker = new Worker(script, { eval: true, workerData: { library, directory: freshDirectory() } });
  expect(await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))).toBe('ERR_UNSUPPORTED');
  await worker.terminate();
});
