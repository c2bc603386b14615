/** The tensors of one file while they are captured: neighbours whose memory is at hand become one segment. */
import type { HeldMemory, MemoryRange } from '../engine/contract.js';
import type { Chunks } from './source.js';

/** Where the bytes of consecutive tensors of a file come from. */
export type CapturedSegment =
  | { readonly kind: 'memory'; readonly held: readonly HeldMemory[] }
  /** One tensor, by its number in the file. */
  | { readonly kind: 'stream'; readonly index: number; readonly stream: AsyncIterable<Uint8Array>; readonly chunks: Chunks };

/** Neighbours that are copied, one behind the other: their copy is a single piece of memory. */
export class CopyRun {
  readonly ranges: MemoryRange[] = [];

  constructor(
    private readonly held: HeldMemory[],
    private readonly index: number,
  ) {}

  /** Puts the copy in its place. */
  set copy(copy: HeldMemory) {
    this.held[this.index] = copy;
  }
}

/** Takes the tensors of one file, in the order of the file. */
export class SegmentList {
  readonly segments: CapturedSegment[] = [];
  readonly runs: CopyRun[] = [];
  /** Of the last segment, if it is memory. */
  private held: HeldMemory[] | undefined;
  /** The last piece of it, if that is to be a copy. */
  private run: CopyRun | undefined;

  hold(memory: HeldMemory): void {
    this.run = undefined;
    this.memory().push(memory);
  }

  copy(range: MemoryRange): void {
    if (this.run === undefined) {
      const held = this.memory();
      this.run = new CopyRun(held, held.length);
      this.runs.push(this.run);
      // Taken by the copy, before anybody looks.
      held.length++;
    }
    this.run.ranges.push(range);
  }

  stream(index: number, stream: AsyncIterable<Uint8Array>, chunks: Chunks): void {
    this.run = undefined;
    this.held = undefined;
    this.segments.push({ kind: 'stream', index, stream, chunks });
  }

  private memory(): HeldMemory[] {
    if (this.held === undefined) {
      this.held = [];
      this.segments.push({ kind: 'memory', held: this.held });
    }
    return this.held;
  }
}
