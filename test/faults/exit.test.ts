/** `process.exit()` and `worker.terminate()` in the middle of saves in the background: fast, and never a torn checkpoint. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { ended, startNode } from '../helpers/child.js';
import { freshDirectory } from '../helpers/directory.js';
import { ENGINES } from '../helpers/engines.js';
import { random32 } from '../helpers/random.js';
import { expectInvariant, REQUEST_OF_STEP } from '../helpers/steps.js';

const FULL = process.env['HOLDFAST_TORTURE'] === '1';
const EXITS = FULL ? 200 : 6;
const TERMINATIONS = FULL ? 100 : 6;

const EXIT = `
  import { writeSync } from 'node:fs';
  import { CheckpointManager, keep } from 'holdfast';
  ${REQUEST_OF_STEP}
  const [directory, engine, after] = process.argv.slice(1);
  const manager = await CheckpointManager.open(directory, { engine, keep: keep.all(), maxInFlight: 3, maxShardBytes: 300_000 });
  for (let step = 1; ; step++) {
    const pending = await manager.saveAsync(requestOf(step));
    pending.committed.then(() => writeSync(1, step + '\\n'));
    if (step === 2) setTimeout(() => {
      writeSync(2, String(Date.now()));
      process.exit(3);
    }, Number(after));
  }
`;

const NATIVE = new URL('../../dist/native.js', import.meta.url).href;

/** Runs in a worker thread: saves without end. */
const TRAINER = `
  const { appendFileSync } = require('node:fs');
  const { parentPort, workerData } = require('node:worker_threads');
  ${REQUEST_OF_STEP}
  (async () => {
    const { library, directory, engine, log, round } = workerData;
    const { CheckpointManager, keep } = await import(library);
    const manager = await CheckpointManager.open(directory, { engine, keep: keep.all(), maxInFlight: 3, maxShardBytes: 300_000 });
    for (let step = 1; ; step++) {
      const pending = await manager.saveAsync(requestOf(step));
      pending.committed.then(() => {
        appendFileSync(log, round + ' ' + step + '\\n');
        if (step === 1) parentPort.postMessage('going');
      });
    }
  })();
`;

const TERMINATE = `
  import { Worker } from 'node:worker_threads';
  const [directory, engine, log, afters, trainer, native] = process.argv.slice(1);
  const { addon } = (await import(native)).loadNative();
  let slowest = 0;
  for (const [round, after] of JSON.parse(afters).entries()) {
    const workerData = { library: 'holdfast', directory: directory + '/' + round, engine, log, round };
    const worker = new Worker(trainer, { eval: true, execArgv: [], workerData });
    await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
    await new Promise((resolve) => setTimeout(resolve, after));
    const started = performance.now();
    await worker.terminate();
    slowest = Math.max(slowest, performance.now() - started);
  }
  // Native threads let go of the last things in their own time. Spare memory is for the next transfer.
  const holding = () => Object.entries(addon?.stats() ?? {}).filter(([name, count]) => name !== 'spareStagingBytes' && count > 0).length;
  for (let i = 0; i < 100 && holding() > 0; i++) await new Promise((resolve) => setTimeout(resolve, 20));
  console.log(JSON.stringify({ held: holding(), slowestMs: Math.round(slowest) }));
`;

describe.each(ENGINES)('ended from inside, %s engine', (engine) => {
  const next = random32(Number(process.env['HOLDFAST_SEED'] ?? Date.now()));

  test(`process.exit() at ${EXITS} random moments of saves in flight`, { timeout: EXITS * 10_000 + 60_000 }, async () => {
    const directory = path.join(freshDirectory(), 'c');
    let slowest = 0;
    for (let i = 0; i < EXITS; i++) {
      const place = path.join(directory, String(i));
      const { code, signal, stdout, stderr } = await ended(startNode(EXIT, [place, engine, String(next() % 60)]));
      const lasted = Date.now() - Number(stderr);
      expect([code, signal, Number.isNaN(lasted)], stderr).toEqual([3, null, false]);
      slowest = Math.max(slowest, lasted);
      const acknowledged = stdout.split('\n').slice(0, -1).map(Number);
      expect(acknowledged).toEqual(acknowledged.map((_, at) => at + 1));
      const steps = await expectInvariant(place, acknowledged, `round ${i}`);
      expect(steps).toEqual(steps.map((_, at) => at + 1));
    }
    console.log(`${engine}: process.exit() in the middle of saves took ${slowest} ms at most`);
  });

  test(`a worker thread with a manager of its own, terminated ${TERMINATIONS} times`, {
    timeout: TERMINATIONS * 10_000 + 60_000,
  }, async () => {
    const parent = freshDirectory();
    const log = path.join(parent, 'log');
    const afters = Array.from({ length: TERMINATIONS }, () => next() % 40);
    const { code, signal, stdout, stderr } = await ended(
      startNode(TERMINATE, [path.join(parent, 'c'), engine, log, JSON.stringify(afters), TRAINER, NATIVE], {
        NODE_OPTIONS: '--unhandled-rejections=strict',
      }),
    );
    expect([code, signal], stderr).toEqual([0, null]);
    const { held, slowestMs } = JSON.parse(stdout) as { held: number; slowestMs: number };
    console.log(`${engine}: terminate() in the middle of saves took ${slowestMs} ms at most`);
    expect(held).toBe(0);
    const lines = readFileSync(log, 'utf8').split('\n').slice(0, -1);
    for (let round = 0; round < TERMINATIONS; round++) {
      const acknowledged = lines.filter((line) => line.startsWith(`${round} `)).map((line) => Number(line.split(' ')[1]));
      expect(acknowledged).toEqual(acknowledged.map((_, at) => at + 1));
      expect((await expectInvariant(path.join(parent, 'c', String(round)), acknowledged, `round ${round}`)).length).toBeGreaterThan(0);
    }
  });
});
