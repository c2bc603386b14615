/** The native engine's memory for copies: huge pages where the kernel gives them, filled by several threads at once. */
import { HoldfastError } from '../../errors.js';
import type { NativeAddon } from '../../native.js';
import { alignCopy, type CopyArena, type HeldMemory, type MemoryRange } from '../contract.js';
import { toHoldfastError } from '../system-error.js';
import { BorrowedMemory, indexBuffers } from './memory.js';
import { MemoryViews } from './memory-views.js';

/** Where there are many, short ranges are copied from JavaScript: telling the addon of one costs more than copying it. */
const MANY_RANGES = 1000;
const SHORT_BYTES = 4096;
/** The runtime counts what JavaScript sees as memory of its own, and collects garbage more often: larger arenas it never sees. */
const MAX_VIEW_BYTES = 2 ** 30;

/** A range, and where in the arena its copy begins. */
interface Placed {
  readonly range: MemoryRange;
  readonly at: number;
}

export class NativeArena implements CopyArena {
  /** The memory as JavaScript sees it; nobody may have it after the release. */
  private views: MemoryViews | undefined;

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

  copy(runs: readonly (readonly MemoryRange[])[]): HeldMemory[] {
    const short = runs.reduce((sum, { length }) => sum + length, 0) < MANY_RANGES ? undefined : this.look();
    const rest: Placed[] = [];
    let at = 0;
    const copies = runs.map((ranges) => {
      at = alignCopy(at);
      const begin = at;
      for (const range of ranges) {
        const { buffer, byteOffset, byteLength } = range;
        if (byteOffset + byteLength > buffer.byteLength) {
          throw new HoldfastError('ERR_SOURCE_CHANGED', 'A tensor’s memory was detached or resized before it could be copied.');
        }
        if (short === undefined || byteLength > SHORT_BYTES) rest.push({ range, at });
        else short.set(range, at);
        at += byteLength;
      }
      return new BorrowedMemory([{ handle: this.handle, byteOffset: begin, byteLength: at - begin }], at - begin);
    });
    this.copyTogether(rest);
    return copies;
  }

  private look(): MemoryViews | undefined {
    if (this.bytes > MAX_VIEW_BYTES) return undefined;
    if (this.views === undefined) {
      const memory = this.addon.arenaMemory(this.handle);
      this.views = memory && new MemoryViews(memory);
    }
    return this.views;
  }

  private copyTogether(placed: readonly Placed[]): void {
    if (placed.length === 0) return;
    const { buffers, indexes } = indexBuffers(placed.map(({ range }) => range));
    const numbers = new Float64Array(placed.length * 4);
    placed.forEach(({ range: { byteOffset, byteLength }, at }, i) => {
      numbers.set([indexes[i] as number, byteOffset, byteLength, at], i * 4);
    });
    this.addon.copyToArena(this.handle, buffers, numbers);
  }

  prefault(): Promise<void> {
    return this.addon.prefaultArena(this.handle);
  }

  release(): void {
    this.views = undefined;
    this.addon.releaseArena(this.handle);
  }
}
