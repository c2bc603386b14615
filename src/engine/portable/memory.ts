/**
 * Memory that the portable engine reads. It reads through views, which are empty once the memory is detached: so detaching
 * cannot hurt, it only has to be noticed.
 */
import { HoldfastError } from '../../errors.js';
import type { HeldMemory, MemoryRange } from '../contract.js';

/** One view covers at most this much: Node.js 20 limits views to 2^32 elements. */
export const VIEW_BYTES = 2 ** 30;

/** Held memory that can be looked at, piece by piece. */
export class PortableMemory implements HeldMemory {
  readonly byteLength: number;
  private readonly bufferBytes: number;

  constructor(readonly range: MemoryRange) {
    const { buffer, byteOffset, byteLength } = range;
    if (byteOffset + byteLength > buffer.byteLength) throw changed();
    this.byteLength = byteLength;
    this.bufferBytes = buffer.byteLength;
  }

  isIntact(): boolean {
    return this.range.buffer.byteLength === this.bufferBytes;
  }

  /** The bytes as views of at most {@link VIEW_BYTES}. Throws `ERR_SOURCE_CHANGED`. */
  *views(): Generator<Uint8Array> {
    const { buffer, byteOffset, byteLength } = this.range;
    for (let at = 0; at < byteLength; at += VIEW_BYTES) {
      if (!this.isIntact()) throw changed();
      yield new Uint8Array(buffer, byteOffset + at, Math.min(VIEW_BYTES, byteLength - at));
    }
  }

  release(): void {}
}

function changed(): HoldfastError {
  return new HoldfastError(
    'ERR_SOURCE_CHANGED',
    'A tensor’s memory was detached, transferred or resized while it was being saved. Keep it as it is until the save resolves, or leave out `stable: true`.',
  );
}
