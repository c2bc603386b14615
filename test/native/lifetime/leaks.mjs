/** A thousand files, failures included: counts, descriptors and threads are what they were before. */
import { readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import {
  addon,
  assert,
  codeOf,
  descriptors,
  passed,
  pause,
  readOptions,
  settle,
  slow,
  temporaryDirectory,
  writerOptions,
} from './common.mjs';

const file = path.join(temporaryDirectory(), 'file');
const bytes = 20_000;

/** A thread that was joined stays listed for a moment on a busy machine: the fewest of several looks count. */
async function threads() {
  let fewest = Infinity;
  for (let look = 0; look < 10; look++) {
    fewest = Math.min(fewest, readdirSync('/proc/self/task').length);
    await pause(20);
  }
  return fewest;
}

async function round(index) {
  const pin = addon.pin(new Uint8Array(bytes), true);
  const token = addon.createAbortToken();
  const writer = await addon.openWriter(file, writerOptions(bytes, { abort: token }));
  if (index % 4 === 1) addon.abort(token);
  await codeOf(addon.write(writer, Float64Array.of(pin, 0, index % 4 === 2 ? bytes - 1 : bytes)));
  if (index % 4 === 3) await addon.abandonWriter(writer);
  else await codeOf(addon.finishWriter(writer));
  assert.equal(await codeOf(addon.openWriter(file, writerOptions(bytes))), 'EEXIST');
  const { reader } = await addon.openReader(file, 'optional');
  await codeOf(addon.read(reader, readOptions(bytes, pin)));
  addon.closeReader(reader);
  const lock = addon.lockFile(file);
  assert.throws(() => addon.lockFile(file), { code: 'EAGAIN' });
  addon.unlockFile(lock);
  addon.releaseAbortToken(token);
  addon.unpin(pin);
  rmSync(file);
}

for (let index = 0; index < 20; index++) await round(index);
await settle();
const before = { descriptors: descriptors(), threads: await threads() };
const rounds = Math.round(1000 / slow);
for (let index = 0; index < rounds; index++) await round(index);
await settle();
assert.deepEqual({ descriptors: descriptors(), threads: await threads() }, before);
passed();
