/** Memory of a worker, used by native work of the main thread, while that worker ends. */
import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import {
  addon,
  assert,
  assertPrompt,
  codeOf,
  passed,
  pause,
  readOptions,
  repeated,
  settle,
  slow,
  temporaryDirectory,
  writerOptions,
} from './common.mjs';

const bytes = 32 << 20;
/** Gigabytes that the second write waits behind: seconds, if the end of its owner did not end it. */
const times = 192;

if (!isMainThread) {
  const memory = new Uint8Array(bytes).fill(7);
  parentPort.postMessage(addon.pin(memory, true));
  parentPort.on('message', () => process.exit(0));
} else {
  const directory = temporaryDirectory();
  const start = () => {
    const worker = new Worker(fileURLToPath(import.meta.url));
    return new Promise((resolve, reject) => {
      worker.once('error', reject);
      worker.once('message', (pin) => resolve({ worker, pin }));
    });
  };
  const mine = addon.pin(new Uint8Array(bytes), true);
  const rounds = Math.max(2, Math.round(5 / slow));
  const took = [];
  for (let round = 0; round < rounds; round++) {
    // A handle works in another thread, but only its owner may unpin it.
    const { worker, pin } = await start();
    assert.throws(() => addon.unpin(pin), { code: 'ERR_INVALID_ARGUMENT' });
    assert.throws(() => addon.isIntact(pin), { code: 'ERR_INVALID_ARGUMENT' });
    const file = path.join(directory, `write-${round}`);
    const writer = await addon.openWriter(file, writerOptions(bytes * (times + 1)));
    const first = codeOf(addon.write(writer, repeated(mine, bytes, times)));
    const second = codeOf(addon.write(writer, repeated(pin, bytes, 1))); // waits behind the first
    await pause(round % 2 === 0 ? 5 : 40);
    const started = performance.now();
    if (round % 2 === 0) await worker.terminate();
    else {
      worker.postMessage('end');
      await new Promise((resolve) => worker.once('exit', resolve));
    }
    took.push(performance.now() - started);
    assert.equal(await second, 'ERR_SOURCE_CHANGED');
    assert.ok(['ERR_SOURCE_CHANGED', 'no error'].includes(await first));
    assert.equal(await codeOf(addon.finishWriter(writer)), 'ERR_SOURCE_CHANGED');
    assert.equal(await codeOf(addon.openWriter(file, writerOptions(1))), 'EEXIST');
    const later = await addon.openWriter(`${file}-later`, writerOptions(1));
    assert.equal(await codeOf(addon.write(later, Float64Array.of(pin, 0, 1))), 'ERR_INVALID_ARGUMENT');
    await addon.abandonWriter(later);
    rmSync(file);

    // The same while its memory is being filled.
    const source = path.join(directory, 'source');
    writeFileSync(source, new Uint8Array(bytes));
    const other = await start();
    const { reader } = await addon.openReader(source, 'optional');
    let code = 'no error';
    const reading = (async () => {
      while (code === 'no error') code = await codeOf(addon.read(reader, readOptions(bytes, other.pin)));
    })();
    await pause(20);
    await other.worker.terminate();
    await reading;
    assert.ok(['ERR_SOURCE_CHANGED', 'ERR_INVALID_ARGUMENT'].includes(code), code);
    addon.closeReader(reader);
  }
  addon.unpin(mine);
  await settle();
  assertPrompt('the end of the owner', took);
  passed();
}
