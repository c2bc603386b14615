/** What detaches memory, what does not, and that a change is noticed. */
import { MessageChannel, markAsUntransferable } from 'node:worker_threads';
import { addon, assert, passed, settle } from './common.mjs';

// Marked memory stays where it is, whatever way of transferring is tried.
const marked = new ArrayBuffer(1 << 20);
markAsUntransferable(marked);
const pin = addon.pin(marked);
const { port1 } = new MessageChannel();
for (const transfer of [() => structuredClone(marked, { transfer: [marked] }), () => port1.postMessage(marked, [marked])]) {
  try {
    transfer(); // Node.js 20 copies silently, later versions throw
  } catch (error) {
    assert.equal(error.name, 'DataCloneError');
  }
  assert.equal(marked.byteLength, 1 << 20);
  assert.equal(addon.isIntact(pin), true);
}
port1.close();
addon.unpin(pin);

// ArrayBuffer.prototype.transfer ignores the mark before Node.js 24; an own property hides it.
if (typeof ArrayBuffer.prototype.transfer === 'function') {
  const hidden = new ArrayBuffer(1000);
  const hiddenPin = addon.pin(hidden);
  Object.defineProperty(hidden, 'transfer', {
    configurable: true,
    value: () => {
      throw new TypeError('held by a running save');
    },
  });
  assert.throws(() => hidden.transfer(), TypeError);
  assert.equal(addon.isIntact(hiddenPin), true);
  addon.unpin(hiddenPin);
}

// Unmarked memory can go, and isIntact says so, for buffers and views of every kind.
for (const make of [
  () => new ArrayBuffer(4096),
  () => new Uint8Array(4096),
  () => new Uint8Array(new ArrayBuffer(4096), 100, 10),
  () => new Float64Array(10),
  () => new DataView(new ArrayBuffer(100), 10),
]) {
  const memory = make();
  const handle = addon.pin(memory);
  assert.equal(addon.isIntact(handle), true);
  const buffer = memory instanceof ArrayBuffer ? memory : memory.buffer;
  const kept = structuredClone(buffer, { transfer: [buffer] });
  assert.equal(addon.isIntact(handle), false);
  assert.ok(kept.byteLength > 0);
  addon.unpin(handle);
}

// What can be resized or detached by others is not accepted at all.
const refused = [
  () => new ArrayBuffer(8, { maxByteLength: 64 }),
  () => new Uint8Array(new ArrayBuffer(8, { maxByteLength: 64 })),
  () => new Uint8Array(new SharedArrayBuffer(8, { maxByteLength: 64 })),
  () => new WebAssembly.Memory({ initial: 1 }).buffer,
  () => new Uint8Array(new WebAssembly.Memory({ initial: 3 }).buffer, 5, 5),
];
for (const make of refused) {
  assert.throws(() => addon.pin(make()), { code: 'ERR_INVALID_ARGUMENT' }, make.toString());
}
const memory = new WebAssembly.Memory({ initial: 1, maximum: 4, shared: true });
const shared = addon.pin(new Uint8Array(memory.buffer));
memory.grow(1); // shared memory grows in place
assert.equal(addon.isIntact(shared), true);
addon.unpin(shared);

await settle();
passed();
