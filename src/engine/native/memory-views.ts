/** One memory as arrays of several element types: between arrays of one type bytes are copied as they are, and no view has to be made. */
import type { MemoryRange } from '../contract.js';

export class MemoryViews {
  private readonly bytes: Uint8Array;
  private readonly floats: Float32Array;
  private readonly integers: Int32Array;

  /** Of memory whose length is a multiple of 4. */
  constructor(memory: ArrayBuffer) {
    this.bytes = new Uint8Array(memory);
    this.floats = new Float32Array(memory);
    this.integers = new Int32Array(memory);
  }

  /** Copies a range to the byte `at`. */
  set(range: MemoryRange, at: number): void {
    if (at % 4 === 0 && range instanceof Float32Array) this.floats.set(range, at / 4);
    else if (at % 4 === 0 && range instanceof Int32Array) this.integers.set(range, at / 4);
    else if (range instanceof Uint8Array) this.bytes.set(range, at);
    else this.bytes.set(new Uint8Array(range.buffer, range.byteOffset, range.byteLength), at);
  }
}
