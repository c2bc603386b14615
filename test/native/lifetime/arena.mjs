/** Arenas of one thread, written to files by another, while either of them ends or lets go of them. */
import { rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import {
  addon,
  assert,
  assertPrompt,
  codeOf,
  passed,
  pause,
  repeated,
  settle,
  slow,
  temporaryDirectory,
  writerOptions,
} from './common.mjs';

const bytes = 32 << 20;
/** Gigabytes: seconds, if nothing ended them. */
const times = 192;

/** An arena that holds `value`, which nothing else refers to. */
function filledArena(value) {
  const arena = addon.createArena(bytes);
  addon.copyToArena(arena, [new Uint8Array(bytes).fill(value)], Float64Array.of(0, 0, bytes, 0));
  return arena;
}

async function work({ mode, arena, file }) {
  if (mode === 'prefault') {
    const large = addon.createArena(2 ** 31);
    parentPort.postMessage(large);
    return addon.prefaultArena(large);
  }
  if (mode === 'copy') {
    const own = addon.createArena(bytes);
    const source = new Uint8Array(bytes);
    parentPort.postMessage(own);
    for (;;) addon.copyToArena(own, [source], Float64Array.of(0, 0, bytes, 0));
  }
  if (mode === 'write') {
    const writer = await addon.openWriter(file, writerOptions(bytes * times));
    const writing = addon.write(writer, repeated(arena, bytes, times));
    parentPort.postMessage(writer);
    return writing;
  }
  const own = filledArena(7);
  parentPort.postMessage(own);
  parentPort.on('message', (message) => {
    if (message === 'release') {
      addon.releaseArena(own);
      parentPort.postMessage('released');
    } else process.exit(0);
  });
}

if (!isMainThread) {
  await work(workerData);
} else {
  const directory = temporaryDirectory();
  const message = (worker) =>
    new Promise((resolve, reject) => {
      worker.once('error', reject);
      worker.once('message', resolve);
    });
  const start = async (data) => {
    const worker = new Worker(fileURLToPath(import.meta.url), { workerData: data });
    return { worker, answer: await message(worker) };
  };
  /** Milliseconds that each of the two ways took. */
  const took = { exit: [], terminate: [] };
  /** Ends a worker in one of them. */
  const end = async (worker, exit) => {
    const started = performance.now();
    if (exit) {
      worker.postMessage('end');
      await new Promise((resolve) => worker.once('exit', resolve));
    } else await worker.terminate();
    took[exit ? 'exit' : 'terminate'].push(performance.now() - started);
  };
  const write = async (arena, file) => {
    // Through the page cache: the threads then copy most of the time, and are caught at it.
    const writer = await addon.openWriter(file, writerOptions(bytes * times, { direct: 'disabled' }));
    return { writer, writing: codeOf(addon.write(writer, repeated(arena, bytes, times))) };
  };

  const rounds = Math.max(2, Math.round(4 / slow));
  for (let round = 0; round < rounds; round++) {
    const exit = round % 2 === 1;
    const file = path.join(directory, `file-${round}`);

    // Its owner ends, having released it or not: the write of another thread ends, and then the memory goes.
    for (const release of [false, true, false, true, false, true]) {
      const { worker, answer: arena } = await start({ mode: 'own' });
      const { writer, writing } = await write(arena, file);
      await pause(5 + 20 * round);
      if (release) {
        worker.postMessage('release');
        assert.equal(await message(worker), 'released');
        assert.deepEqual([addon.stats().arenas, addon.stats().arenaBytes], [1, bytes]);
      }
      await end(worker, exit);
      assert.equal(await writing, 'ERR_SOURCE_CHANGED');
      assert.deepEqual([addon.stats().arenas, addon.stats().arenaBytes], [0, 0]);
      assert.equal(await codeOf(addon.finishWriter(writer)), 'ERR_SOURCE_CHANGED');
      const later = await addon.openWriter(`${file}-later`, writerOptions(1));
      assert.equal(await codeOf(addon.write(later, Float64Array.of(arena, 0, 1))), 'ERR_INVALID_ARGUMENT');
      await addon.abandonWriter(later);
      rmSync(file);
      rmSync(`${file}-later`);
    }

    // The thread that writes ends, while the owner has let go of the arena or not.
    for (const release of [false, true]) {
      const arena = filledArena(9);
      const { worker } = await start({ mode: 'write', arena, file });
      if (release) {
        addon.releaseArena(arena);
        assert.equal(addon.stats().arenas, 1);
      }
      await pause(20);
      await end(worker, false);
      if (!release) {
        assert.equal(addon.stats().arenas, 1);
        addon.releaseArena(arena);
      }
      await settle();
      rmSync(file);
    }

    // The owner ends in the middle of its own work on it.
    for (const mode of ['prefault', 'copy']) {
      const { worker } = await start({ mode });
      await pause(Math.random() * 40);
      await end(worker, false);
      assert.equal(addon.stats().arenas, 0);
    }
    await settle();
  }

  // What a released arena held is what is written.
  const file = path.join(directory, 'kept');
  const writer = await addon.openWriter(file, writerOptions(bytes * 4));
  const arena = filledArena(5);
  const writing = addon.write(writer, repeated(arena, bytes, 4));
  addon.releaseArena(arena);
  const others = [1, 2, 3].map(filledArena); // where it was, if it had gone
  await writing;
  const one = addon.crc32c(new Uint8Array(bytes).fill(5));
  let expected = one;
  for (let count = 1; count < 4; count++) expected = addon.crc32cCombine(expected, one, bytes);
  assert.equal((await addon.finishWriter(writer)).crc32c, expected);
  for (const other of others) addon.releaseArena(other);
  await settle();
  assertPrompt('exit', took.exit);
  assertPrompt('terminate()', took.terminate);
  passed();
}
