/** Memory for copies that every thread can read: a SharedArrayBuffer. */
import { HoldfastError } from '../../errors.js';
import { alignCopy, type CopyArena, type HeldMemory, type MemoryRange } from '../contract.js';
import { PortableMemory } from './memory.js';

const PAGE_BYTES = 4096;
/** What is touched in one turn of the event loop: some ten milliseconds' worth. */
const TURN_BYTES = 16 * 2 ** 20;

export class PortableArena implements CopyArena {
  private buffer: SharedArrayBuffer | undefined;
  readonly bytes: number;

  constructor(bytes: number) {
    try {
      this.buffer = new SharedArrayBuffer(bytes);
    } catch (cause) {
      throw new HoldfastError('ERR_RESOURCES', `Could not get ${bytes} bytes of memory for a snapshot.`, { cause });
    }
    this.bytes = bytes;
  }

  copy(runs: readonly (readonly MemoryRange[])[]): HeldMemory[] {
    const { buffer } = this;
    if (buffer === undefined) throw new HoldfastError('ERR_INTERNAL', 'An arena was used after its release. Please report it.');
    let at = 0;
    return runs.map((ranges) => {
      const byteOffset = alignCopy(at);
      at = byteOffset;
      for (const range of ranges) {
        for (const view of new PortableMemory(range).views()) {
          new Uint8Array(buffer, at, view.length).set(view);
          at += view.length;
        }
      }
      return new PortableMemory({ buffer, byteOffset, byteLength: at - byteOffset });
    });
  }

  async prefault(): Promise<void> {
    for (let at = 0; at < this.bytes && this.buffer !== undefined; at += TURN_BYTES) {
      const view = new Uint8Array(this.buffer, at, Math.min(TURN_BYTES, this.bytes - at));
      for (let page = 0; page < view.length; page += PAGE_BYTES) view[page] = 0;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  release(): void {
    this.buffer = undefined;
  }
}
