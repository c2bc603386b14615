/** worker.terminate() at random moments of native work: prompt, no crash, nothing left behind. */
import { mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import {
  addon,
  assert,
  assertPrompt,
  descriptors,
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
const times = 64;

async function work({ mode, file }) {
  const memory = new Uint8Array(bytes);
  const pin = addon.pin(memory, true);
  if (mode === 'idle') return parentPort.postMessage('ready');
  if (mode === 'churn') {
    parentPort.postMessage('ready');
    for (let index = 0; ; index++) {
      const writer = await addon.openWriter(`${file}-${index}`, writerOptions(10_000));
      await addon.write(writer, Float64Array.of(pin, 0, 10_000));
      await addon.finishWriter(writer);
    }
  }
  if (mode === 'read') {
    const writer = await addon.openWriter(file, writerOptions(bytes));
    await addon.write(writer, Float64Array.of(pin, 0, bytes));
    await addon.finishWriter(writer);
    const { reader } = await addon.openReader(file, 'optional');
    parentPort.postMessage('ready');
    for (;;) await addon.read(reader, readOptions(bytes, pin));
  }
  if (mode === 'checksum') {
    // No memory of this thread is involved, so nothing but the end of its environment stops it.
    writeFileSync(file, '');
    truncateSync(file, 2 ** 36);
    const { reader } = await addon.openReader(file, 'optional');
    parentPort.postMessage('ready');
    return addon.read(reader, readOptions(2 ** 36));
  }
  const token = addon.createAbortToken();
  const writer = await addon.openWriter(file, writerOptions(bytes * times, { abort: token }));
  parentPort.postMessage('ready');
  const writing = addon.write(writer, repeated(pin, bytes, times));
  if (mode === 'finish') return addon.finishWriter(writer);
  if (mode === 'exit') setTimeout(() => process.exit(0), 30);
  return writing;
}

if (!isMainThread) {
  await work(workerData);
} else {
  const directory = temporaryDirectory();
  addon.stats();
  const before = descriptors();
  const took = new Map();
  const rounds = Math.max(2, Math.round(6 / slow));
  for (let round = 0; round < rounds; round++) {
    for (const mode of ['write', 'finish', 'read', 'checksum', 'churn', 'idle', 'exit']) {
      const file = path.join(directory, `${mode}-${round}`);
      const worker = new Worker(fileURLToPath(import.meta.url), { workerData: { mode, file } });
      const failed = new Promise((_, reject) => worker.once('error', reject));
      await Promise.race([new Promise((resolve) => worker.once('message', resolve)), failed]);
      await pause(Math.random() * 60);
      const started = performance.now();
      await worker.terminate();
      took.set(mode, [...(took.get(mode) ?? []), performance.now() - started]);
    }
    await settle();
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory);
  }
  for (const [mode, times] of took) assertPrompt(`terminate() during ${mode}`, times);
  await settle();
  assert.ok(descriptors() <= before + 2, `${descriptors()} descriptors, ${before} before`);
  passed();
}
