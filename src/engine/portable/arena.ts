/** Memory for copies that every thread can read: a SharedArrayBuffer. */
import { HoldfastError } from '../../errors.js';
import { alignCopy, type CopyArena, type CopyPlan, type CopyRun, type MemoryRange } from '../contract.js';
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

  plan(runs: readonly CopyRun[]): CopyPlan {
    const { buffer } = this;
    if (buffer === undefined) throw new HoldfastError('ERR_INTERNAL', 'An arena was used after its release. Please report it.');
    let at = 0;
    const held = runs.map(({ bytes }) => {
      const byteOffset = at;
      at += alignCopy(bytes);
      return new PortableMemory({ buffer, byteOffset, byteLength: bytes });
    });
    return {
      held,
      fill: (filled) => {
        runs.forEach((run, i) => {
          copyRun(run, buffer, (held[i] as PortableMemory).range.byteOffset);
          filled?.(i + 1);
        });
      },
    };
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

function copyRun({ ranges, lengths }: CopyRun, buffer: SharedArrayBuffer, begin: number): void {
  let at = begin;
  for (let k = 0; k < ranges.length; k++) {
    const range = ranges[k] as MemoryRange;
    const memory = new PortableMemory(range);
    if (memory.byteLength !== lengths[k]) {
      throw new HoldfastError('ERR_SOURCE_CHANGED', 'A tensor’s memory was detached or resized before it could be copied.');
    }
    for (const view of memory.views()) {
      new Uint8Array(buffer, at, view.length).set(view);
      at += view.length;
    }
  }
}
