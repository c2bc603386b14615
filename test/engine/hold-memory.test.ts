/** Which memory of a caller's the native engine reads where it is, and which it refuses, so that it is copied. */
import { describe, expect, test } from 'vitest';
import { selectEngine } from '../../src/engine/select.js';
import { ENGINES } from '../helpers/engines.js';
import { addon, missing } from '../native/support.js';

declare const WebAssembly: {
  Memory: new (pages: { initial: number; maximum: number }) => { buffer: ArrayBuffer; grow(pages: number): void };
};

const PAGE_BYTES = 65_536;

/** Buffers of the addon's suspicion: of the C library's heap, one in 256 begins on a page. */
function onPages(wanted: number): ArrayBuffer[] {
  const all: ArrayBuffer[] = [];
  const found: ArrayBuffer[] = [];
  while (found.length < wanted && all.length < 40_000) {
    const buffer = new ArrayBuffer(PAGE_BYTES);
    // The small ones in between shift those behind them, lest all begin at the same few places of a page.
    all.push(buffer, new ArrayBuffer(16 * (all.length % 61)));
    try {
      addon.unpin(addon.pin(buffer));
    } catch {
      found.push(buffer);
    }
  }
  return found;
}

const rangeOf = (buffer: ArrayBuffer) => ({ buffer, byteOffset: 0, byteLength: buffer.byteLength });

describe.skipIf(missing)('stable memory', () => {
  const engine = missing === undefined ? selectEngine('native') : selectEngine('portable');

  test('that looks like WebAssembly memory, but is not, is held: every time, and nothing is done to it', () => {
    const buffers = onPages(3);
    expect(buffers.length).toBe(3);
    for (const buffer of buffers) {
      const bytes = new Uint8Array(buffer).fill(7);
      const held = [1, 2, 3].map(() => engine.tryHold(rangeOf(buffer)));
      expect(held.map((memory) => memory?.isIntact())).toEqual([true, true, true]);
      for (const memory of held) memory?.release();
      engine.tryHold(rangeOf(buffer))?.release();
      expect([buffer.byteLength, bytes.every((byte) => byte === 7)]).toEqual([PAGE_BYTES, true]);
    }
  });

  test('of a WebAssembly.Memory, which detaches it when it grows, is not held', () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 2 });
    expect(engine.tryHold(rangeOf(memory.buffer))).toBeUndefined();
    memory.grow(1);
    expect(engine.tryHold(rangeOf(memory.buffer))).toBeUndefined();
  });
});

test.each(ENGINES)('stable memory that its owner may resize is not held by the %s engine', (name) => {
  type Resizable = new (bytes: number, options: { readonly maxByteLength: number }) => ArrayBuffer;
  for (const kind of [ArrayBuffer, SharedArrayBuffer] as unknown as Resizable[]) {
    const buffer = new kind(PAGE_BYTES, { maxByteLength: 2 * PAGE_BYTES });
    expect(selectEngine(name).tryHold(rangeOf(buffer))).toBeUndefined();
  }
});
