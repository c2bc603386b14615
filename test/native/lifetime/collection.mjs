/** A pin is all that keeps memory from the garbage collector; run with --expose-gc. */
import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { addon, assert, passed, pause, readOptions, settle, slow, temporaryDirectory, writerOptions } from './common.mjs';

const file = path.join(temporaryDirectory(), 'file');
const collect = () => {
  for (let round = 0; round < 2; round++) globalThis.gc();
};
assert.equal(typeof globalThis.gc, 'function', 'run with --expose-gc');

const bytes = 8 << 20;
// Trusted: now and then it begins on a page, as WebAssembly memory does.
const pinFresh = (value) => addon.pin(new Uint8Array(bytes).fill(value), true);
/** Makes the allocator reuse whatever was freed. */
const churn = () => Array.from({ length: 4 }, () => new Uint8Array(bytes).fill(0xee).length);

for (let round = 0; round < 10 / slow + 2; round++) {
  const value = round + 1;
  const pin = pinFresh(value); // nothing else refers to the memory
  collect();
  const writer = await addon.openWriter(file, writerOptions(bytes));
  const writing = addon.write(writer, Float64Array.of(pin, 0, bytes));
  addon.unpin(pin); // the running write still holds it
  collect();
  churn();
  await writing;
  collect();
  churn();
  const digest = await addon.finishWriter(writer);
  const written = readFileSync(file);
  assert.ok(written.every((byte) => byte === value));
  assert.equal(addon.crc32c(written), digest.crc32c);

  let target = new Uint8Array(bytes);
  const destination = addon.pin(target, true);
  const seen = new WeakRef(target);
  target = undefined;
  const { reader } = await addon.openReader(file, 'optional');
  const reading = addon.read(reader, readOptions(bytes, destination));
  collect();
  churn();
  assert.equal((await reading).crc32c, digest.crc32c);
  assert.ok(
    seen.deref()?.every((byte) => byte === value),
    'a pinned destination was collected',
  );
  addon.closeReader(reader);
  addon.unpin(destination);
  rmSync(file);
}

// Unpinned memory is collected: no reference is left behind.
const freed = [];
const registry = new FinalizationRegistry((value) => freed.push(value));
for (let index = 0; index < 10; index++) {
  const memory = new Uint8Array(1 << 20);
  registry.register(memory, index);
  addon.unpin(addon.pin(memory, true));
}
for (let attempt = 0; attempt < 50 && freed.length < 9; attempt++) {
  collect();
  await pause(10);
}
assert.ok(freed.length >= 9, `only ${freed.length} of 10 were collected`);
await settle();
passed();
