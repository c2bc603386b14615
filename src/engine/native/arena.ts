/** The native engine's memory for copies: huge pages where the kernel gives them, filled by several threads at once. */
import { HoldfastError } from '../../errors.js';
import type { NativeAddon } from '../../native.js';
import type { CopyArena, HeldMemory, MemoryRange } from '../contract.js';
import { toHoldfastError } from '../system-error.js';
import { BorrowedMemory, indexBuffers } from './memory.js';

/** Keeps copied tensors apart by whole cache lines. */
const ALIGNMENT = 64;

export class NativeArena implements CopyArena {
  private constructor(
    private readonly addon: NativeAddon,
    private readonly handle: number,
    readonly bytes: number,
  ) {}

  static create(addon: NativeAddon, bytes: number): NativeArena {
    try {
      return new NativeArena(addon, addon.createArena(bytes), bytes);
    } catch (error) {
      throw toHoldfastError(error, `get ${bytes} bytes of memory for a snapshot`);
    }
  }

  copy(ranges: readonly MemoryRange[]): HeldMemory[] {
    const { buffers, indexes } = indexBuffers(ranges);
    const numbers = new Float64Array(ranges.length * 4);
    let at = 0;
    const pieces = ranges.map(({ buffer, byteOffset, byteLength }, i) => {
      if (byteOffset + byteLength > buffer.byteLength) {
        throw new HoldfastError('ERR_SOURCE_CHANGED', 'A tensor’s memory was detached or resized before it could be copied.');
      }
      numbers.set([indexes[i] as number, byteOffset, byteLength, at], i * 4);
      const piece = new BorrowedMemory([{ handle: this.handle, byteOffset: at, byteLength }], byteLength);
      at += Math.ceil(byteLength / ALIGNMENT) * ALIGNMENT;
      return piece;
    });
    this.addon.copyToArena(this.handle, buffers, numbers);
    return pieces;
  }

  prefault(): Promise<void> {
    return this.addon.prefaultArena(this.handle);
  }

  release(): void {
    this.addon.releaseArena(this.handle);
  }
}
