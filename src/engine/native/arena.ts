/** The native engine's memory for copies: huge pages where the kernel gives them, filled by several threads at once. */
import { HoldfastError } from '../../errors.js';
import type { NativeAddon } from '../../native.js';
import { alignCopy, type CopyArena, type CopyPlan, type CopyRun, type MemoryRange } from '../contract.js';
import { toHoldfastError } from '../system-error.js';
import { BorrowedMemory, indexBuffers } from './memory.js';
import { MemoryViews } from './memory-views.js';

/** Where there are many, short ranges are copied from JavaScript: telling the addon of one costs more than copying it. */
const MANY_RANGES = 1000;
const SHORT_BYTES = 4096;
/** The runtime counts what JavaScript sees as memory of its own, and collects garbage more often: larger arenas it never sees. */
const MAX_VIEW_BYTES = 2 ** 30;

/** What is copied by one call of the addon, on several threads, where somebody waits for the first runs. */
const BATCH_BYTES = 64 * 2 ** 20;

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

  plan(runs: readonly CopyRun[]): CopyPlan {
    let at = 0;
    const held = runs.map(({ bytes }) => {
      const byteOffset = at;
      at += alignCopy(bytes);
      return new BorrowedMemory([{ handle: this.handle, byteOffset, byteLength: bytes }], bytes);
    });
    return { held, fill: (filled) => this.fill(runs, filled) };
  }

  private fill(runs: readonly CopyRun[], filled: ((runs: number) => void) | undefined): void {
    const short = runs.reduce((sum, { ranges }) => sum + ranges.length, 0) < MANY_RANGES ? undefined : this.look();
    let batch: Placed[] = [];
    let batchBytes = 0;
    let begin = 0;
    runs.forEach(({ ranges, lengths, bytes }, i) => {
      let at = begin;
      for (let k = 0; k < ranges.length; k++) {
        const range = ranges[k] as MemoryRange;
        const length = lengths[k] as number;
        if (range.byteLength !== length || !isThere(range)) throw changed();
        if (short !== undefined && length <= SHORT_BYTES) short.set(range, at);
        else {
          batch.push({ range, at });
          batchBytes += length;
        }
        at += length;
      }
      begin += alignCopy(bytes);
      if (filled === undefined) return;
      if (batchBytes >= BATCH_BYTES) {
        this.copyTogether(batch);
        batch = [];
        batchBytes = 0;
      }
      if (batch.length === 0) filled(i + 1);
    });
    this.copyTogether(batch);
    filled?.(runs.length);
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

/** A view that its buffer has shrunk away from has no bytes; what is no view does not know. */
function isThere(range: MemoryRange): boolean {
  return ArrayBuffer.isView(range as unknown) || range.byteOffset + range.byteLength <= range.buffer.byteLength;
}

function changed(): HoldfastError {
  return new HoldfastError('ERR_SOURCE_CHANGED', 'A tensor’s memory was detached or resized before it could be copied.');
}
