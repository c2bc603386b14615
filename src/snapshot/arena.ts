/** Memory for copied snapshots, kept between saves: fresh memory costs a page fault per 4 KiB. */

import { HoldfastError } from '../errors.js';

/** Lends one buffer at a time out of a small stock. */
export class Arena {
  private free: ArrayBuffer | undefined;

  /** A buffer of at least `bytes` bytes. */
  take(bytes: number): ArrayBuffer {
    const { free } = this;
    if (free !== undefined && free.byteLength >= bytes) {
      this.free = undefined;
      return free;
    }
    try {
      return new ArrayBuffer(bytes);
    } catch (cause) {
      throw new HoldfastError(
        'ERR_RESOURCES',
        `There is no memory for a copy of the ${bytes} bytes to be saved. Promise "stable" for tensors that do not change, or pass streams.`,
        { cause },
      );
    }
  }

  /** Gives a buffer back; the larger one is kept. */
  give(buffer: ArrayBuffer): void {
    if (this.free === undefined || this.free.byteLength < buffer.byteLength) this.free = buffer;
  }

  /** Lets the stock go. */
  clear(): void {
    this.free = undefined;
  }
}
